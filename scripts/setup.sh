#!/bin/sh
# Prepares a virtual environment with this project (editable) and dependency groups of pyproject.toml.
#
#   scripts/setup.sh .venv examples tests
#   scripts/setup.sh --find-python          prints the interpreter that it would take
#
# Does nothing, in milliseconds, when the environment is already as asked. Reads from the environment:
#   PYTHON           the interpreter to build on (default: the first of 3.13, 3.12, 3.11 that runs)
#   AIRFLOW_VERSION  an exact Airflow version (default: the newest that pyproject.toml allows)
set -eu

cd "$(dirname "$0")/.."

die() {
    echo "Set-up failed: $*" >&2
    exit 1
}

# A name on PATH proves nothing: pyenv's shims exist for versions that are not enabled, and fail when run.
usable() {
    "$1" -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14); print(sys.executable)' 2>/dev/null
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

if [ "$1" = --find-python ]; then
    find_python
    exit
fi
venv=$1
shift

# Airflow pins no upper bounds, and some releases break with libraries that came out after them. Its
# constraints files are the usual cure; the package index as it was on a day does the same from one number.
index_date() {
    case $1 in
        3.1.*) echo 2026-03-25 ;;
        3.2.*) echo 2026-06-05 ;;
    esac
}

install() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$venv/bin/python" "$@"
    else
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    fi
}

# What decides whether the environment has to be made anew, and whether what is in it is out of date.
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
tool=pip
command -v uv >/dev/null 2>&1 && tool=uv
if [ "$fresh" = yes ]; then
    python=$(find_python) || exit 1
    # An unknown folder that is no virtual environment is not ours to delete.
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        die "$venv is in the way and is no virtual environment. Move it, or choose another: make ... VENV=..."
    fi
    rm -rf "$venv"
    echo "Setting up $venv: $("$python" --version), Airflow ${AIRFLOW_VERSION:-newest}, by $tool ..."
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
# shellcheck disable=SC2086 # words on purpose; group names hold no spaces
install $groups --editable . ${pinned:-} || die "the packages could not be installed (see above)."
for group in "$@"; do
    echo "$content" >"$venv/.setup/$group"
done
echo "Ready in $(($(date +%s) - started)) s."
