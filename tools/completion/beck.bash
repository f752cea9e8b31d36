# SPDX-License-Identifier: Apache-2.0
# Completion of beck(1) for bash: beck itself says what may stand where.

_beck() {
    local word candidates
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")

    # bash takes "--name=value" and "topic:0" apart; beck wants words as they are typed.
    word=${COMP_LINE:0:COMP_POINT}
    word=${word##*[[:space:]]}
    COMPREPLY=()
    if [ "$word" != "${COMP_WORDS[COMP_CWORD]}" ]; then
        read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
        words=("${words[@]:1}")
        [ -n "$word" ] || words+=('')
    fi
    candidates=$("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
    while IFS= read -r word; do
        case $word in
            '') ;;
            :files)
                compopt -o filenames
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
            :directories)
                compopt -o filenames
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}") ;;
            *=)
                compopt -o nospace
                COMPREPLY+=("$word") ;;
            *)
                COMPREPLY+=("$word") ;;
        esac
    done <<<"$candidates"
}

complete -F _beck beck
