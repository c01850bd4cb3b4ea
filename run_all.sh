#!/usr/bin/env bash
# Sets up the environment where needed, then runs the notebooks, or with --test the checks.
# Works from any directory; ./run_all.sh --help lists the options.
#
# The environment is .conda-env (environment.yml) where micromamba, mamba or conda is on the PATH,
# else .venv (Python 3.11 and pip). Both install requirements*.txt under requirements.lock.
# OSTEOBOOK_ENV=conda or OSTEOBOOK_ENV=venv chooses one of them.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" > /dev/null && pwd -P)"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" # this checkout's lib, from any directory
export PYTHONNOUSERSITE=1                            # nothing from the user's own site-packages

# Notebooks run at the root, so a folder named relative to this directory is made absolute.
for name in OSTEOBOOK_DATA_ROOT OSTEOBOOK_FIGURES OSTEOBOOK_PHANTOMS OSTEOBOOK_TRIALS; do
    case "${!name:-}" in "" | phantoms | /*) ;; *) export "$name=$PWD/${!name}" ;; esac
done

fail() {
    echo "run_all.sh: error: $*" >&2
    exit 2
}

is_python311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' > /dev/null 2>&1
}

first_python311() {
    local candidate
    for candidate in "$@"; do
        if is_python311 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

first_conda() {
    local tool
    for tool in micromamba mamba conda; do
        if command -v "$tool" > /dev/null; then
            echo "$tool"
            return
        fi
    done
}

create_conda_environment() {
    local create=(env create)
    if [[ $conda == micromamba ]]; then create=(create); fi
    rm -rf "$prefix" # what an interrupted creation leaves cannot be continued
    CONDA_ALWAYS_YES=true MAMBA_ALWAYS_YES=true \
        "$conda" "${create[@]}" --prefix "$prefix" --file "$root/environment.yml" ||
        fail "$conda could not create the environment (its message is above)." \
            "Fix: OSTEOBOOK_ENV=venv ./run_all.sh needs only Python 3.11 and pip."
}

create_venv() {
    local clear=()
    if [[ -e $python || -L $python ]] && ! is_python311 "$python"; then
        clear=(--clear) # of another Python, or of one that is gone
    fi
    "$base" -m venv ${clear[@]+"${clear[@]}"} "$prefix"
    "$python" -m pip install --require-hashes --no-deps -r "$root/requirements-hashed.lock"
    "$python" -m pip install -c "$root/requirements.lock" -r "$root/requirements.txt" \
        -r "$root/requirements-notebooks.txt" -r "$root/requirements-test.txt"
    "$python" -m pip install --no-deps -e "$root"
}

conda="$(first_conda)"
case "${OSTEOBOOK_ENV:-${conda:+conda}}" in
    conda)
        [[ -n $conda ]] ||
            fail "OSTEOBOOK_ENV=conda: found no micromamba, mamba or conda on the PATH." \
                "Fix: install one, or use OSTEOBOOK_ENV=venv."
        prefix="$root/.conda-env"
        ;;
    venv | "")
        conda=""
        prefix="$root/.venv"
        ;;
    *) fail "OSTEOBOOK_ENV: found '$OSTEOBOOK_ENV'; expected conda or venv." ;;
esac
python="$prefix/bin/python"

base="$(first_python311 python3.11 python3)"
[[ -n $conda || -n $base ]] ||
    fail "found no Python 3.11 (neither python3.11 nor python3 is one)." \
        "Fix: install Python 3.11, or micromamba, and put it on the PATH."

# Wrong options are answered now, not after minutes of installing.
checker="$(first_python311 "$python" "$base")"
if [[ -n $checker ]]; then
    for argument in "$@"; do
        case $argument in -h | --help) exec "$checker" -P -m lib.app.run --help ;; esac
    done
    "$checker" -P -c 'import sys; from lib.app.run import parse; parse(sys.argv[1:])' "$@"
fi

stamp="$prefix/.osteobook"
wanted="$root $(cat "$root"/{requirements*.txt,requirements*.lock,environment.yml,pyproject.toml} | cksum)"
if is_python311 "$python" && [[ "$(cat "$stamp" 2> /dev/null)" == "$wanted" ]]; then
    echo "environment up to date (${prefix##*/})"
else
    echo "setting up the environment in ${prefix##*/} (some minutes, about 2 GB)"
    rm -f "$stamp" # an interrupted set-up is done again
    if [[ -n $conda ]]; then create_conda_environment; else create_venv; fi
    echo "$wanted" > "$stamp"
fi

exec "$python" -P -m lib.app.run "$@"
