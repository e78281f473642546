#!/bin/sh
# Installs the foreign programs that the tests run against, from Debian's packages: certbot and lego (ACME clients),
# OpenSSL, PostgreSQL (the oldest that is taken), SoftHSM2 with a compiler for its binding, a software TPM with its resource manager and PKCS #11 library, libfaketime. As root or with `sudo -n`; otherwise says the one command.
# Then gets what Debian does not have: moto and OpenBao, and zlint, which is built.
set -eu
packages="certbot lego openssl curl postgresql-15 softhsm2 opensc swtpm libtpm2-pkcs11-1 tpm2-abrmd libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0 dbus libfaketime g++ make python3 python3-pip wrk"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
others() {
  sh "$(dirname "$0")/test-servers.sh"
  exec sh "$(dirname "$0")/build-zlint.sh"
}
[ -z "$missing" ] && others
command -v apt-get >/dev/null || { echo "error: the tests need these Debian packages:$missing" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then sudo=""; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else
  echo "error: the tests need Debian packages. Install them with:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
  exit 1
fi
echo "  … installing Debian packages:$missing" >&2
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
others
