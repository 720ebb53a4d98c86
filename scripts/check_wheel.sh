#!/bin/sh
# Installs a wheel into an empty environment and asks Airflow what it sees of it.
#
#   scripts/check_wheel.sh /path/to/python dist/airflow_provider_whatsapp-0.1.0-py3-none-any.whl
set -eu

python=$1
wheel=$2
name=airflow-provider-whatsapp
connection_type=maton_whatsapp

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False NO_COLOR=1 COLUMNS=400

fail() {
    echo "The wheel is not right: $1" >&2
    [ -n "${2:-}" ] && cat "$2" >&2
    exit 1
}

# Runs an airflow command away from the checkout, so that it is the wheel that is seen.
airflow() {
    (cd "$work" && "$work/venv/bin/airflow" "$@") >"$work/out" 2>"$work/err" ||
        { cat "$work/out" >>"$work/err"; fail "airflow $* fails:" "$work/err"; }
    cat "$work/out" >>"$work/all"
    cat "$work/err" >>"$work/all"
}

# Asserts that the last command's output holds a pattern.
shows() {
    grep -Eq "$1" "$work/out" || fail "its $2 is missing:" "$work/out"
}

if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --no-project --python "$python" "$work/venv"
    uv pip install --quiet --python "$work/venv/bin/python" "$wheel"
else
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -qq --disable-pip-version-check "$wheel"
fi

airflow providers list --output plain
shows "^$name " "line in 'airflow providers list'"
airflow providers get "$name" --output plain
shows "^$name " "answer to 'airflow providers get'"
airflow providers hooks --output plain
shows "^$connection_type +airflow_provider_whatsapp[.]hooks[.]" "hook in 'airflow providers hooks'"
airflow providers notifications --output plain
shows "airflow_provider_whatsapp" "notifier in 'airflow providers notifications'"

if grep -Ei 'warn|error|deprecat|exception' "$work/all" | grep -Ei "whatsapp|maton" >"$work/complaints"; then
    fail "Airflow complains about it:" "$work/complaints"
fi
echo "$(basename "$wheel"): Airflow lists the provider, the connection type $connection_type and the notifier, no complaint."
