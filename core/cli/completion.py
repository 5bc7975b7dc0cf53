"""``queuectl completion``: scripts for bash, zsh and fish, generated from the table of commands."""

from __future__ import annotations

from argparse import Namespace

from core.cli.commands import ALIASES, COMMANDS, DEFAULTS, family, first_words
from core.cli.failures import DONE
from core.cli.parser import Parser, build_parser
from core.cli.session import Session
from core.model import State
from core.settings import SETTINGS

_SHELLS = ("bash", "zsh", "fish")
_STATES = (*(state.value for state in State), "processing", "dlq")
_JOB_COMMANDS = (
    "show", "logs", "wait", "retry", "cancel", "edit", "purge", "restore", "dlq replay", "dlq retry", "dlq purge"
)  # fmt: skip


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    parser.examples(
        'eval "$(queuectl completion bash)"                                   # in ~/.bashrc',
        'eval "$(queuectl completion zsh)"                                    # in ~/.zshrc, after compinit',
        "queuectl completion fish > ~/.config/fish/completions/queuectl.fish",
    )


def run(session: Session, options: Namespace) -> int:
    """Print the script."""
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](), end="")
    return DONE


def _words_after() -> dict[str, list[str]]:
    """Return what may follow each command: second words, fixed values, options; jobs are added by the scripts."""
    after: dict[str, list[str]] = {}
    for name in (*COMMANDS, *ALIASES):
        command = COMMANDS[ALIASES.get(name, name)]
        parser = build_parser(command, 100)
        options = [option for option in parser._option_string_actions if option.startswith("--")]
        after[name] = [*_values_of(name), *options]
    for name, default in DEFAULTS.items():
        after[name] = [*family(name), *after[f"{name} {default}"]]
    return after


def _values_of(name: str) -> list[str]:
    if name == "list":
        return list(_STATES)
    if name in ("config get", "config set", "config unset"):
        return list(SETTINGS)
    return {"completion": list(_SHELLS), "help": first_words()}.get(name, [])


def _cases(indent: str) -> str:
    """Return the words after each command as branches of a shell's ``case``."""
    lines = []
    for name, words in sorted(_words_after().items(), key=lambda item: -item[0].count(" ")):
        pattern = f'"{name}"' if " " in name else f'"{name}"|"{name} "*'
        lines.append(f'{indent}{pattern}) words="{" ".join(words)}" ;;')
    return "\n".join(lines)


_JOBS = "queuectl $db list --limit 200 --color never 2>/dev/null | awk 'NR > 1 { print $1; if ($3 != \"-\") print $3 }'"

_BASH = """\
# bash completion for queuectl
_queuectl() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="" words="" db="" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
            --db) i=$((i + 1)); db="--db ${{COMP_WORDS[i]}}" ;;
            --color|--colour) i=$((i + 1)) ;;
            -*) ;;
            *) case "$command" in
                   "") command="${{COMP_WORDS[i]}}" ;;
                   *" "*) ;;
                   *) command="$command ${{COMP_WORDS[i]}}" ;;
               esac ;;
        esac
    done
    case "$previous" in
        --db|--file|--cwd) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --color|--colour) COMPREPLY=($(compgen -W "auto always never" -- "$current")); return ;;
        --state) COMPREPLY=($(compgen -W "{states}" -- "$current")); return ;;
        --on-stop) COMPREPLY=($(compgen -W "wait kill detach" -- "$current")); return ;;
        --sort) COMPREPLY=($(compgen -W "default id command duration" -- "$current")); return ;;
    esac
    case "$command" in
        "") words="{first} --db --color --json --help --version" ;;
{cases}
    esac
    case "$command" in
        {jobs_of}) [[ "$current" == -* ]] || words="$words $({jobs})" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _queuectl queuectl
"""


def _bash() -> str:
    jobs_of = "|".join(f'"{name}"*' for name in _JOB_COMMANDS)
    return _BASH.format(
        states=" ".join(_STATES), first=" ".join(first_words()), cases=_cases(" " * 8), jobs_of=jobs_of, jobs=_JOBS
    )


def _zsh() -> str:
    return (
        "# zsh completion for queuectl: that of bash, through zsh's own bridge\n"
        "autoload -U +X bashcompinit && bashcompinit\n" + _bash()
    )


def _fish() -> str:
    lines = ["# fish completion for queuectl", "complete -c queuectl -f"]
    for word in first_words():
        summary = COMMANDS[word].summary if word in COMMANDS else ", ".join(family(word))
        lines.append(f"complete -c queuectl -n __fish_use_subcommand -a {word} -d {_quoted(summary)}")
    for name, words in _words_after().items():
        first, _, second = name.partition(" ")
        condition = f"__fish_seen_subcommand_from {first}"
        if second:
            condition += f"; and __fish_seen_subcommand_from {second}"
        plain = [word for word in words if not word.startswith("-")]
        if plain:
            lines.append(f"complete -c queuectl -n '{condition}' -a {_quoted(' '.join(plain))}")
        lines += [
            f"complete -c queuectl -n '{condition}' -l {word.removeprefix('--')}"
            for word in words
            if word.startswith("--")
        ]
    for name in _JOB_COMMANDS:
        first = name.partition(" ")[0]
        jobs = _JOBS.replace("$db ", "")
        lines.append(f'complete -c queuectl -n "__fish_seen_subcommand_from {first}" -a "({_fish_escaped(jobs)})"')
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
