#!/bin/sh
# Prints a completion for bash, made from the command's own help texts: completion.sh INGOT
set -eu
ingot=$1
verbs=$(sh "$(dirname "$0")/verbs.sh" "$ingot" | tr '\n' ' ')

# The options in a help: NAME, and after a tab its value's name if it takes one.
options() { # VERB
    "$ingot" "$1" -h | awk '
        /^Options:/ { on = 1; next }
        on && !NF { exit }
        on && /^  (-.,|   ) --/ {
            sub(/^ +/, "")
            letter = /^-.,/ ? substr($0, 1, 2) : ""
            sub(/^-., /, "")
            split($0, words, / +/)
            value = match($0, /^[^ ]+ [^ ]/) ? words[2] : ""
            print words[1] "\t" value
            if (letter != "") print letter "\t" value
        }'
}

cat <<'BEGIN'
# bash completion for ingot(1), made from its help texts.
_ingot() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} words=
BEGIN
echo "    if [ \"\$COMP_CWORD\" -eq 1 ]; then"
echo "        mapfile -t COMPREPLY < <(compgen -W '$verbs-h --help --version' -- \"\$word\")"
echo "        return"
echo "    fi"
echo "    case \$verb:\$before in"
for verb in $verbs; do
    options "$verb" | while IFS='	' read -r name value; do
        case $value in
        '') ;;
        *'|'*) echo "    $verb:$name) words='$(printf '%s' "$value" | tr '|' ' ')' ;;" ;;
        PRESET*)
            # shellcheck disable=SC2016 # for the completion to run
            echo "    $verb:$name) words=\$(\"\${COMP_WORDS[0]}\" $verb --list-encodings 2>/dev/null | awk 'NR > 1 && !NF { exit } NR > 1 { print \$1 }') ;;"
            ;;
        *) echo "    $verb:$name) return ;;" ;;
        esac
    done
done
cat <<'MIDDLE'
    *)
        case $verb:$word in
MIDDLE
for verb in $verbs; do
    echo "        $verb:-*) words='$(options "$verb" | cut -f 1 | tr '\n' ' ' | sed 's/ $//')' ;;"
done
cat <<'END'
        esac
        ;;
    esac
    [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _ingot ingot
END
