#!/bin/sh
# set_up.sh FOLDER PYTHON: a 64-bit Arm system without a kernel, for the emulator qemu-aarch64-static.
#
# FOLDER/root gets Debian's Python for arm64, of the release that this machine's apt knows, and
# FOLDER/site what `pip install .` brings there; PYTHON is one that has semedge, whose requirements
# are read. Nothing is installed on this machine.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
python=$2
root=$folder/root
site=$folder/site
lists=/etc/apt/sources.list.d/debian.sources
[ -f "$lists" ] || lists=/etc/apt/sources.list

rm -rf "$root" "$site" "$folder/apt"
mkdir -p "$root/proc" "$root/sys/devices/system/cpu" "$folder/apt/lists/partial" \
  "$folder/apt/archives/partial"
touch "$folder/apt/status"
cat > "$folder/apt/config" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc::sourcelist "$lists";
Dir::Etc::sourceparts "-";
Dir::State::Lists "$folder/apt/lists";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt";
Dir::Cache::archives "$folder/apt/archives";
END
export APT_CONFIG="$folder/apt/config"
apt-get -qq update
apt-get -qq --yes --download-only --no-install-recommends install python3 libstdc++6 > /dev/null
for package in "$folder"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$root"
done

# LiteRT asks the kernel which instructions there are, and would be told the host's: a Raspberry Pi 4.
for core in 0 1 2 3; do
  cat <<END
processor	: $core
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

END
done > "$root/proc/cpuinfo"
for name in possible present online; do
  echo 0-3 > "$root/sys/devices/system/cpu/$name"
done

version=$(basename "$root"/usr/bin/python3.*)
requirements=$("$python" -c '
from importlib.metadata import requires
print(*(each.replace(" ", "") for each in requires("semedge") if ";" not in each), sep="\n")')
# shellcheck disable=SC2086 - one argument a requirement
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: \
  --platform manylinux_2_35_aarch64 --platform manylinux_2_31_aarch64 \
  --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
  --platform manylinux2014_aarch64 --python-version "${version#python}" \
  --implementation cp --target "$site" $requirements
rm -rf "$folder/apt"
