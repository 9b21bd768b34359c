# Sourced by tools/quickstart and tools/test: what the build needs from Debian or Ubuntu, and how it is made.

readonly weir_packages='
  g++                    compiles
  cmake                  configures
  ninja-build            runs the build
  pkgconf                finds libsndfile and KissFFT
  libsndfile1-dev        reads and writes recordings
  libkissfft-dev         Fourier transforms
  libliquid-dev          designs filters
  libpng-dev             writes pictures
  libfmt-dev             formats text
  nlohmann-json3-dev     writes reports
  libtomlplusplus-dev    reads pipeline files
  libcli11-dev           reads command lines
  libgtest-dev           runs the tests
  libgmock-dev           matchers for the tests
  libbenchmark-dev       runs the benchmarks
  alsa-utils             ships the recording of the main job
'

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Installs the packages that are missing; says nothing where none is.
install_packages() {
  local names name missing=() as_root=() log
  names=$(awk '{print $1}' <<<"$weir_packages")
  command -v dpkg-query >/dev/null || {
    echo "This is neither Debian nor Ubuntu: what these packages hold has to be there already:" $names
    return
  }
  for name in $names; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing packages; as root, type: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  echo "Installing, with what they need: ${missing[*]}"
  log=$(mktemp)
  {
    "${as_root[@]}" apt-get update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get failed; its whole output is in $log"
  }
  rm -f "$log"
}

# configure PRESET: silent where it succeeds.
configure() {
  local log=build/$1.configure.log
  mkdir -p build
  cmake --preset "$1" >"$log" 2>&1 || {
    cat "$log" >&2
    die "CMake could not configure the preset $1"
  }
}
