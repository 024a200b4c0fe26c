# Lists gcov's summaries, the least covered source first, and the sum.
/^File/ { split($0, part, "'"); file = part[2] }
/^Lines executed/ && file ~ /^(format|convert|runtime|vulkan|cli)\/.*\.[ch]$/ {
    split($0, number, /[:% ]+/)
    n = $NF
    hit = number[3] * n / 100
    if (!(file in lines) || hit > hits[file]) { hits[file] = hit; lines[file] = n }
    file = ""
}
END {
    sort = "sort -n"
    for (file in lines) {
        printf "%5.1f %%  of %5d  %s\n", 100 * hits[file] / lines[file], lines[file], file | sort
        hit_sum += hits[file]
        line_sum += lines[file]
    }
    close(sort)
    if (line_sum) printf "%5.1f %%  of %5d  all\n", 100 * hit_sum / line_sum, line_sum
}
