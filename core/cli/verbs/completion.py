"""``queuectl completion``: scripts for bash, zsh and fish, generated from the table of commands.

Names of jobs and queues are untrusted text, and shells run what they expand: ``compgen -W`` runs ``$(…)``. So the
scripts call ``queuectl completion jobs`` (or queues, resources) for these words, which quotes them, and use each line
verbatim.
"""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Iterator

from core.cli.commands import ALIASES, COMMANDS, DEFAULTS, family, first_words
from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser, build_parser
from core.model import State, View
from core.rules.settings import SETTINGS
from core.text import clean_line

_SHELLS = ("bash", "zsh", "fish")
#: What the scripts ask for by their names.
_LISTS = ("jobs", "queues", "resources")
_STATES = (*(state.value for state in State), "processing", "dlq")
_JOB_COMMANDS = (
    "show", "logs", "wait", "retry", "cancel", "hold", "release", "edit", "purge", "restore",
    "dlq replay", "dlq retry", "dlq purge"
)  # fmt: skip
_PROGRAM_COMMANDS = tuple(name for name, command in COMMANDS.items() if command.takes_command_line)
_RESOURCE_COMMANDS = ("resource set", "resource unset")
_QUEUE_COMMANDS = ("queue pause", "queue resume", "queue limit", "queue on-lost-host")
#: Options whose values are files, or words that only the database knows.
_FILE_OPTIONS = ("--db", "--file", "--cwd")
_LIST_OPTIONS = {"--queue": "queues", "--after": "jobs", "--after-end": "jobs"}
_OFFERED_JOBS = 200


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument(
        "shell",
        metavar="SHELL",
        choices=(*_SHELLS, *_LISTS),
        help=f"{', '.join(_SHELLS)}; jobs, queues or resources: the words that their scripts offer",
    )
    parser.add_argument("typed", nargs="?", help=argparse.SUPPRESS)
    parser.examples(
        'eval "$(queuectl completion bash)"                                   # in ~/.bashrc',
        'eval "$(queuectl completion zsh)"                                    # in ~/.zshrc, after compinit',
        "queuectl completion fish > ~/.config/fish/completions/queuectl.fish",
    )


def run(session: Session, options: Namespace) -> int:
    """Print the script, or the words that a script asks for."""
    if options.shell in _SHELLS:
        print(script(options.shell), end="")
        return DONE
    queue = session.queue()
    if options.shell == "jobs":
        words = list(_jobs(session))
    elif options.shell == "queues":
        words = [info.name for info in queue.queues()]
    else:
        words = [info.name for info in queue.resources()]
    for word in words:
        # what a terminal cannot show as it is, or an option, is no word to offer; a job has its number
        if clean_line(word) == word and not word.startswith("-"):
            _offer(session, word, options.typed)
    return DONE


def script(shell: str) -> str:
    """Return the completion script of ``bash``, ``zsh`` or ``fish``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _jobs(session: Session) -> Iterator[str]:
    for row in session.queue().last_rows(View(), limit=_OFFERED_JOBS):
        yield str(row.job.id)
        if row.job.name is not None:
            yield row.job.name


def _offer(session: Session, word: str, typed: str | None) -> None:
    """Print a word: verbatim without ``typed`` (fish quotes it), else quoted, if it continues what was typed."""
    if typed is None:
        session.say(word)
        return
    opening = typed[:1] if typed[:1] in ("'", '"') else ""
    written = quoted(word, opening)
    if written.startswith(typed.removeprefix(opening)):
        session.say(written)


def quoted(word: str, opening: str = "") -> str:
    """Return a word as bash and zsh take it literally, after an opening quote if one was typed."""
    if opening == "'":
        return word.replace("'", r"'\''")
    if opening == '"':
        # a ! means the history inside these quotes too, and a backslash does not end that
        return re.sub(r'([\\"$`])', r"\\\1", word).replace("!", r'"\!"')
    return re.sub(r"([^\w%+,./\x80-\U0010ffff-])", r"\\\1", word)


def _words_after() -> dict[str, list[str]]:
    """Return what may follow each command: second words, fixed values, options; jobs are added by the scripts."""
    after: dict[str, list[str]] = {}
    for name in (*COMMANDS, *ALIASES):
        after[name] = [*_values_of(name), *(option for option in _options(name) if option.startswith("--"))]
    for name, default in DEFAULTS.items():
        after[name] = [*family(name), *after[f"{name} {default}"]]
    return after


def _options(name: str) -> dict[str, argparse.Action]:
    parser = build_parser(COMMANDS[ALIASES.get(name, name)], 100)
    return {option: action for option, action in parser.options.items() if action.help is not argparse.SUPPRESS}


def _values_of(name: str) -> list[str]:
    if name == "list":
        return list(_STATES)
    if name in ("config get", "config set", "config unset"):
        return list(SETTINGS)
    return {"completion": list(_SHELLS), "help": first_words()}.get(name, [])


def _option_values() -> dict[str, tuple[str, ...]]:
    """Return every option that has a value, with its fixed values; an option means the same in all commands."""
    values = {
        option: tuple(action.choices or ())
        for name in COMMANDS
        for option, action in _options(name).items()
        if action.nargs != 0
    }
    return {**values, "--state": _STATES}


def _value_cases(indent: str) -> str:
    """Return what may follow each option that has a value as branches of a shell's ``case``."""
    lines = [f"{indent}{'|'.join(_FILE_OPTIONS)}) _queuectl_files; return ;;"]
    lines += [f"{indent}{option}) names={names} ;;" for option, names in _LIST_OPTIONS.items()]
    free = []
    for option, words in _option_values().items():
        if words:
            lines.append(f'{indent}{option}) words="{" ".join(words)}" ;;')
        elif option not in (*_FILE_OPTIONS, *_LIST_OPTIONS):
            free.append(option)
    return "\n".join([*lines, f"{indent}{'|'.join(free)}) return ;;"])


def _word_cases(indent: str) -> str:
    """Return the words after each command as branches of a shell's ``case``."""
    lines = []
    for name, words in sorted(_words_after().items(), key=lambda item: -item[0].count(" ")):
        pattern = f'"{name}"' if " " in name else f'"{name}"|"{name} "*'
        lines.append(f'{indent}{pattern}) words="{" ".join(words)}" ;;')
    return "\n".join(lines)


def _pattern(names: tuple[str, ...]) -> str:
    return "|".join(f'"{name}"*' for name in names)


_BASH = r"""# bash completion for queuectl
_queuectl_files() {
    local word
    # bash 4 and newer quote the names themselves
    compopt -o filenames 2>/dev/null
    local is_quoting=$?
    while IFS= read -r word; do
        [[ $is_quoting == 0 ]] || word="$(printf %q "$word")"
        [[ -z "$word" || "$word" == "''" ]] || COMPREPLY+=("$word")
    done <<< "$(compgen -f -- "$current")"
}
_queuectl() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
    local command="" words="" names="" db="${QUEUECTL_DB-}" word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            --db)
                i=$((i + 1))
                [[ "${COMP_WORDS[i]}" != "=" ]] || i=$((i + 1))
                db="${COMP_WORDS[i]}"
                # bash makes many words of postgresql://user@host/name, unless it is quoted: then the quotes are in it
                while ((i + 1 < COMP_CWORD)) &&
                    [[ "${COMP_WORDS[i]}" == [:=@] || "${COMP_WORDS[i+1]}" == [:=@] ]]; do
                    i=$((i + 1))
                    db="$db${COMP_WORDS[i]}"
                done
                db="${db#[\"\']}" db="${db%[\"\']}" ;;
            @valued@)
                i=$((i + 1))
                [[ "${COMP_WORDS[i]}" != "=" ]] || i=$((i + 1)) ;;
            --) case "$command" in @programs@) command="$command --" ;; esac ;;
            -*) ;;
            *) case "$command" in
                   "") command="${COMP_WORDS[i]}" ;;
                   *" "*) ;;
                   *) command="$command ${COMP_WORDS[i]}" ;;
               esac ;;
        esac
    done
    # from its first word on everything belongs to the queued program
    case "$command" in
        @inside@) _queuectl_files; return ;;
    esac
    # bash makes three words of --queue=name
    if [[ "$current" == "=" ]]; then
        current=""
    elif [[ "$previous" == "=" ]]; then
        previous="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    case "$previous" in
@values@
        *) case "$command" in
            "") words="@first@ --db --color --json --help --version" ;;
@cases@
           esac
           [[ "$current" == -* ]] || case "$command" in
               @jobs_of@) names=jobs ;;
               @queues_of@) names=queues ;;
               @resources_of@) names=resources ;;
           esac ;;
    esac
    # nothing here may be expanded once more: names may be like $(this)
    for word in $words; do
        [[ "$word" != "$current"* ]] || COMPREPLY+=("$word")
    done
    [[ -n "$names" ]] || return 0
    while IFS= read -r word; do
        [[ -z "$word" ]] || COMPREPLY+=("$word")
    done <<< "$(QUEUECTL_DB="$db" queuectl completion "$names" -- "$current" 2>/dev/null)"
}
complete -F _queuectl queuectl
"""


def _bash() -> str:
    script = _BASH
    for place, text in {
        "@values@": _value_cases(" " * 8),
        "@cases@": _word_cases(" " * 12),
        "@first@": " ".join(first_words()),
        "@valued@": "|".join(option for option in _option_values() if option != "--db"),
        "@programs@": "|".join(_PROGRAM_COMMANDS),
        "@inside@": "|".join(f'"{name} "*' for name in _PROGRAM_COMMANDS),
        "@jobs_of@": _pattern(_JOB_COMMANDS),
        "@queues_of@": _pattern(_QUEUE_COMMANDS),
        "@resources_of@": _pattern(_RESOURCE_COMMANDS),
    }.items():
        script = script.replace(place, text)
    return script


def _zsh() -> str:
    """Return a script for ``eval`` and for a directory of functions, where it is run at the first TAB: that counts."""
    return (
        "#compdef queuectl\n"
        "# zsh completion for queuectl: that of bash, through zsh's own bridge\n"
        "autoload -U +X bashcompinit && bashcompinit\n"
        f"{_bash()}"
        '[[ "${funcstack[1]}" != _queuectl ]] || _bash_complete -F _queuectl\n'
    )


_FISH = r"""# fish completion for queuectl
complete -c queuectl -f
# whether the words before the cursor have come to the queued program, to which all words belong from then on
function __queuectl_in_program
    set -l command
    set -l is_value
    for word in (commandline -opc)[2..-1]
        if set -q is_value[1]
            set -e is_value
            continue
        end
        switch $word
            case @valued@
                set is_value yes
            case --
                set -q command[1]; and return 0
            case '-*'
            case '*'
                set -q command[1]; and return 0
                contains -- $word @programs@; or return 1
                set command $word
        end
    end
    return 1
end
complete -c queuectl -n __queuectl_in_program -F"""


def _fish() -> str:
    lines = [_FISH.replace("@valued@", " ".join(_option_values())).replace("@programs@", " ".join(_PROGRAM_COMMANDS))]
    for word in first_words():
        summary = COMMANDS[word].summary if word in COMMANDS else ", ".join(family(word))
        lines.append(f"complete -c queuectl -n __fish_use_subcommand -a {word} -d {_fish_quoted(summary)}")
    values = _option_values()
    for name, words in _words_after().items():
        plain = [word for word in words if not word.startswith("-")]
        if plain:
            lines.append(f"{_fish_after(name)} -a {_fish_quoted(' '.join(plain))}")
        lines += [
            f"{_fish_after(name)} -l {word.removeprefix('--')}{_fish_value(word, values)}"
            for word in words
            if word.startswith("--")
        ]
    for what, names in (("jobs", _JOB_COMMANDS), ("queues", _QUEUE_COMMANDS), ("resources", _RESOURCE_COMMANDS)):
        lines += [f"{_fish_after(name)} -a {_fish_list(what)}" for name in names]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _fish_after(name: str) -> str:
    """Return the beginning of a completion that holds after a command."""
    condition = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
    return f"complete -c queuectl -n 'not __queuectl_in_program; and {condition}'"


def _fish_value(option: str, values: dict[str, tuple[str, ...]]) -> str:
    """Return the completion of an option's value; empty for an option without one."""
    if option not in values:
        return ""
    if option in _FILE_OPTIONS:
        return " -r -F"
    if option in _LIST_OPTIONS:
        return f" -x -a {_fish_list(_LIST_OPTIONS[option])}"
    return f" -x -a {_fish_quoted(' '.join(values[option]))}" if values[option] else " -x"


def _fish_list(what: str) -> str:
    """Return the call that prints the names of jobs or queues; fish quotes each line by itself."""
    return f"'(queuectl completion {what} 2>/dev/null)'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
