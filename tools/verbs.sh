#!/bin/sh
# Prints the verbs of the command, one a line, as its help lists them: verbs.sh INGOT
"$1" -h | awk '/^Verbs:/ { on = 1; next } on && !NF { exit } on { print $1 }'
