# find_python: print the path of a Python that the project can use, or one line on stderr that says why there is none.
#
# It must be 3.11 or newer and able to make virtual environments. For root, an ordinary user must also be able to read
# it, because the services do not run as root; FOR_OWN_USE=1 lifts that.

python_will_do() {
    "$1" -I -B - 2>/dev/null <<'END'
import os, sys, sysconfig
if sys.version_info < (3, 11):
    sys.exit(3)
import ensurepip, ssl, venv  # modules that the set-up needs
if os.geteuid() == 0 and not os.environ.get("FOR_OWN_USE"):
    for path in (sys.executable, sysconfig.get_path("stdlib")):
        path = os.path.realpath(path)
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                sys.exit(4)
            path = os.path.dirname(path)
END
}

find_python() {
    old= closed= bare=
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        case $name in
            */*) places=$(dirname -- "$name") name=$(basename -- "$name") ;;
            *) places=$PATH:/usr/local/bin:/usr/bin:/opt/homebrew/bin:/usr/pkg/bin ;;
        esac
        before=$IFS
        IFS=:
        for place in $places; do
            IFS=$before
            candidate=${place:-.}/$name
            [ -x "$candidate" ] && [ ! -d "$candidate" ] || continue
            python_will_do "$candidate" && { printf '%s\n' "$candidate"; return 0; }
            case $? in
                3) old=$candidate ;;
                4) closed=$candidate ;;
                *) bare=$candidate ;;
            esac
        done
        IFS=$before
    done
    if [ -n "$bare" ]; then
        echo "$0: $bare cannot make virtual environments; install its venv package (Debian: python3-venv)" >&2
    elif [ -n "$closed" ]; then
        echo "$0: $closed lies where only root can read it; install Python 3.11 or newer for everybody" >&2
    elif [ -n "$old" ]; then
        echo "$0: $old is too old; install Python 3.11 or newer, or name one: PYTHON=/path/to/python" >&2
    else
        echo "$0: no Python found; install Python 3.11 or newer, or name one: PYTHON=/path/to/python" >&2
    fi
    return 2
}
