# Turns the rows `| R-101 | text | ... |` of the specification's table of rules into lines
# RULE(101, "text").
/^\| *R-[0-9]+ *\|/ {
    gsub(/\\\|/, "\001") # an escaped bar is part of the text
    split($0, cells, "|")
    number = cells[2]
    text = cells[3]
    gsub(/[^0-9]/, "", number)
    gsub(/^ +| +$|`/, "", text)
    gsub(/["\\]/, "\\\\&", text)
    gsub(/\001/, "|", text)
    printf "RULE(%s, \"%s\")\n", number, text
}
