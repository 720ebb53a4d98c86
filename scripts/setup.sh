#!/bin/sh
# Prepares a virtual environment with this project (editable) and dependency groups of pyproject.toml.
#
#   scripts/setup.sh .venv examples tests
#   scripts/setup.sh --find-python          prints the interpreter that it would take
#   scripts/setup.sh --find-python 3.12     prints the fastest one of this version (or of these), or fails
#
# Does nothing, in milliseconds, when the environment is already as asked. Reads from the environment:
#   PYTHON           the interpreter to build on (default: the first of 3.13, 3.12, 3.11 that runs)
#   AIRFLOW_VERSION  an exact Airflow version (default: the newest that pyproject.toml allows)
#   TOOLS_ONLY       any text: the groups alone, neither this project nor Airflow
set -eu

cd "$(dirname "$0")/.."

die() {
    echo "Set-up failed: $*" >&2
    exit 1
}

# A name on PATH proves nothing: pyenv's shims exist for versions that are not enabled, and fail when run.
# The second argument, where there is one, is the only version that will do.
usable() {
    "$1" -c '
import sys
found = "%d.%d" % sys.version_info[:2]
assert found in sys.argv[1:] if sys.argv[1:] else (3, 11) <= sys.version_info < (3, 14)
print(sys.executable)' ${2:+"$2"} 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 that runs."
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        usable "$candidate" && return
    done
    if command -v uv >/dev/null 2>&1; then
        found=$(uv python find -q --no-project --no-python-downloads '>=3.11,<3.14' 2>/dev/null) && usable "$found" && return
    fi
    die "no Python 3.11, 3.12 or 3.13 found. Install one, or name it: make ... PYTHON=/path/to/python3.12"
}

# All commands of one name on PATH.
on_path() (
    IFS=:
    for folder in $PATH; do
        if [ -x "$folder/$1" ]; then echo "$folder/$1"; fi
    done
)

# All that have one of these versions: on PATH, among pyenv's, or wherever uv finds it.
find_all() {
    for version in "$@"; do
        {
            on_path "python$version"
            for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do echo "$candidate"; done
            command -v python3 python || true
            uv python find -q --no-project --no-python-downloads "$version" 2>/dev/null || true
        } | while read -r candidate; do
            usable "$candidate" "$version" || true
        done
    done | sort -u
}

# The fastest of these: that of a distribution can be twice as fast as one that was compiled without a profile, as pyenv
# does by default. In turns, because other work on the machine slows down all of them for seconds.
find_fastest() {
    all=$(find_all "$@")
    for _ in 1 2 3; do
        for python in $all; do
            echo "$("$python" -c "$LOOP") $python"
        done
    done | sort -g | sed -n '1s/^[^ ]* //p' | grep .
}

# Prints the seconds of the shortest of twenty loops.
LOOP='import timeit; print(min(timeit.repeat("for i in range(50000): i * i", number=1, repeat=20)))'

if [ "$1" = --find-python ]; then
    shift
    if [ $# != 0 ]; then find_fastest "$@"; else find_python; fi
    exit
fi
venv=$1
shift

# The day of the package index that an Airflow is installed from: that of the first tested version which has the same
# first two numbers and is no older.
index_date() {
    awk -v asked="$1" '
        /^[^#]/ {
            split($1, tested, "."); split(asked, wanted, ".")
            if (tested[1] == wanted[1] && tested[2] == wanted[2] && tested[3] + 0 >= wanted[3] + 0) { print $2; exit }
        }' scripts/airflow-versions.txt
}

install() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$venv/bin/python" "$@"
    else
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    fi
}

# What decides whether the environment has to be made again, and whether what is in it is out of date.
shape="$PWD ${PYTHON:-} ${AIRFLOW_VERSION:-}"
content=$(cat pyproject.toml airflow_provider_whatsapp/__init__.py | cksum)

if [ ! -e "$venv/.setup/shape" ] || [ "$(cat "$venv/.setup/shape")" != "$shape" ] || ! usable "$venv/bin/python" >/dev/null; then
    fresh=yes
else
    fresh=no
fi
missing=no
for group in "$@"; do
    [ "$(cat "$venv/.setup/$group" 2>/dev/null)" = "$content" ] || missing=yes
done
[ "$fresh$missing" = nono ] && exit 0

started=$(date +%s)
tool=pip by="pip (a few minutes; with uv less than one)"
command -v uv >/dev/null 2>&1 && tool=uv by=uv
if [ "$fresh" = yes ]; then
    python=$(find_python) || exit 1
    # An unknown folder that is no virtual environment is not ours to delete.
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        die "$venv is in the way and is no virtual environment. Move it, or choose another: make ... VENV=..."
    fi
    rm -rf "$venv"
    what="Airflow ${AIRFLOW_VERSION:-newest}"
    [ -n "${TOOLS_ONLY:-}" ] && what="tools alone"
    echo "Setting up $venv: $("$python" --version), $what, by $by ..."
    if [ $tool = uv ]; then
        uv venv --quiet --no-project --python "$python" "$venv" || die "uv could not make $venv."
    else
        "$python" -m venv "$venv" || die "$python -m venv does not work (Debian, Ubuntu: install python3-venv)."
    fi
    mkdir "$venv/.setup"
    echo '*' >"$venv/.gitignore"
    echo "$shape" >"$venv/.setup/shape"
else
    echo "Updating $venv by $tool ..."
fi

if [ $tool = pip ]; then
    # Python 3.11 brings a pip that does not know dependency groups; a venv made by uv brings none at all.
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
    install --upgrade 'pip>=25.3' || die "pip could not be brought up to date (see above)."
fi

if [ -n "${AIRFLOW_VERSION:-}" ]; then
    date=$(index_date "$AIRFLOW_VERSION")
    before=
    if [ -n "$date" ]; then
        [ $tool = uv ] && before="--exclude-newer $date" || before="--uploaded-prior-to $date"
    fi
    # shellcheck disable=SC2086 # an option and its value, or nothing
    install $before "apache-airflow==$AIRFLOW_VERSION" || die "Airflow $AIRFLOW_VERSION could not be installed (see above)."
    pinned="apache-airflow==$AIRFLOW_VERSION"
fi

groups=
for group in "$@"; do
    groups="$groups --group $group"
done
project="--editable ."
[ -n "${TOOLS_ONLY:-}" ] && project=
# shellcheck disable=SC2086 # words on purpose; group names hold no spaces
install $groups $project ${pinned:-} || die "the packages could not be installed (see above)."
for group in "$@"; do
    echo "$content" >"$venv/.setup/$group"
done
echo "Ready in $(($(date +%s) - started)) s."
