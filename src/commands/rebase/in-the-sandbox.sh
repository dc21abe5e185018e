#!/bin/sh
# Of flipper-profiles: runs in a sandbox over the new base, as `script upgrade|no broken|no`.
d=/.flipper-rebase
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8 APT_LISTCHANGES_FRONTEND=none

# The base's packages stay as the base has them, whatever else is preferred. What is fetched lies here and goes
# with this directory; what apt has in its cache already is not fetched again.
mkdir -p "$d/lists/partial" "$d/archives/partial"
cat "$d/pins" /etc/apt/preferences >"$d/preferences" 2>/dev/null
cp -a --reflink=auto /var/cache/apt/archives/*.deb "$d/archives/" 2>/dev/null

get() {
	apt-get -y -q \
		-o Dir::Etc::preferences="$d/preferences" -o Dir::State::lists="$d/lists" \
		-o Dir::Cache::archives="$d/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root -o APT::Get::AutomaticRemove=false -o Acquire::Retries=2 \
		-o Dpkg::Use-Pty=false -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

step() {
	/bin/echo "$1" >"$d/step" || exit 20
	echo "== $1"
}

# dpkg ends at the first conffile that is a directory now, and waits for ever at a pipe: then one package after the
# other, and what is behind such a file in its own package is not looked at.
verify() {
	why=$(timeout 600 dpkg --verify 2>&1 >"$d/verify")
	[ $? -gt 1 ] || return 0
	echo "$why"
	case "$why" in *"No space left"*) exit 25 ;; esac
	: >"$d/verify" || exit 25
	for package in $(dpkg-query -W -f '${binary:Package}\n'); do
		changed=$(timeout 60 dpkg --verify "$package")
		[ -z "$changed" ] || /bin/echo "$changed" >>"$d/verify" || exit 25
	done
}

step check
if [ "$1" = upgrade ] || [ "$2" = broken ] || ! get check; then
	step update
	get -o APT::Update::Error-Mode=any update || exit 21
	step fix
	get --no-install-recommends -f install || exit 22
	if [ "$1" = upgrade ]; then
		step upgrade
		get dist-upgrade || exit 23
	fi
fi
step triggers
dpkg --configure --pending || exit 24
dpkg --triggers-only --pending || exit 24
step proof
# What could not be written down whole proves nothing: dpkg ends with 2 then. (The shell's own echo does not say
# why it could not write.)
dpkg --audit >"$d/audit" 2>&1
[ $? -le 1 ] || exit 25
get check >"$d/check" 2>&1 || /bin/echo "E: apt-get check ended with $?" >>"$d/check" || exit 25
verify
/bin/echo "done" >"$d/step" || exit 25
exit 0
