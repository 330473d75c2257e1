# Sourced by ./dev: puts what the build and the tests need on a Debian machine that has only Swift.
# Quiet when nothing is missing, and safe to run again at any point.

# Libraries are looked for as packages (their headers are needed), programs by name.
needed_packages=(libsodium-dev libssl-dev libsqlite3-dev libpq-dev libuv1-dev libhiredis-dev ca-certificates)
needed_programs=(pkg-config python3 openssl curl gzip git)

# What only the tests run: others' servers and clients, for Kin to be tried against.
test_packages=(node-ws postgresql)
test_programs=(nginx node redis-server)

install_dependencies() {
  find_swift
  install_missing
}

# And what the tests need beyond that: Debian's packages, and Python's in a folder of their own.
install_test_dependencies() {
  install_dependencies
  local needed_packages=("${test_packages[@]}") needed_programs=("${test_programs[@]}")
  # Debian keeps the part of Python that makes such folders in a package of its own.
  python3 -c 'import ensurepip, venv' 2>/dev/null || needed_packages+=(python3-venv)
  install_missing
  install_test_python
}

# Does nothing when the folder was made from the same list.
install_test_python() {
  local list=Scripts/test-python.txt folder=.build/test-python log try
  cmp -s "$list" "$folder/installed.txt" && return
  echo "dev: installing the tests' Python packages" >&2
  mkdir -p .build
  log=$(mktemp)
  for try in 1 2 3; do
    if {
      python3 -m venv --clear "$folder" &&
        "$folder/bin/pip" install -q --disable-pip-version-check --only-binary :all: -r "$list"
    } >>"$log" 2>&1; then
      cp "$list" "$folder/installed.txt"
      rm -f "$log"
      return
    fi
    [ "$try" -eq 3 ] || sleep $((try * 5))
  done
  echo "dev: pip could not install what $list names. It said:" >&2
  tail -n 20 "$log" >&2
  rm -f "$log"
  exit 1
}

install_missing() {
  local missing=()
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] && return
  if ! command -v apt-get >/dev/null; then
    echo "dev: these are missing, and there is no apt-get here to install them: ${missing[*]}" >&2
    exit 1
  fi
  echo "dev: installing ${missing[*]}" >&2
  install_with_apt "${missing[@]}"
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -gt 0 ]; then
    echo "dev: still missing after the installation: ${missing[*]}" >&2
    exit 1
  fi
}

find_swift() {
  command -v swift >/dev/null && return
  local folder
  for folder in /opt/swift/usr/bin "${SWIFTLY_BIN_DIR:-$HOME/.local/share/swiftly/bin}" /usr/local/swift/usr/bin; do
    if [ -x "$folder/swift" ]; then
      export PATH="$folder:$PATH"
      return
    fi
  done
  echo "dev: there is no swift on this machine. Kin needs Swift 6.3 or later: https://www.swift.org/install/linux/" >&2
  exit 1
}

missing_packages() {
  local name
  for name in "${needed_programs[@]}"; do
    # Servers stand where a user's path may not look.
    PATH=$PATH:/usr/sbin command -v "$name" >/dev/null || package_of "$name"
  done
  command -v dpkg-query >/dev/null || return 0
  for name in "${needed_packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

# Where the program is not called as its package.
package_of() {
  case "$1" in
    node) echo nodejs ;;
    *) echo "$1" ;;
  esac
}

# A fresh machine has no package lists, or old ones, and often an update of its own under way that holds the lock:
# hence one update, three tries, and patience with the lock.
install_with_apt() {
  local log try as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  local options=(-qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  log=$(mktemp)
  apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@" </dev/null >>"$log" 2>&1; }
  for try in 1 2 3; do
    if apt update && apt install -y --no-install-recommends "$@"; then
      rm -f "$log"
      return
    fi
    [ "$try" -eq 3 ] || sleep $((try * 5))
  done
  echo "dev: apt-get could not install $*. It said:" >&2
  tail -n 20 "$log" >&2
  rm -f "$log"
  exit 1
}
