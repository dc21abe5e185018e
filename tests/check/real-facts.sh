# What is true in a profile, one fact a line: `program NAME STATUS`, `missing LIBRARY FILE`, `verify FILE`,
# `version PACKAGE VERSION`, `id ACCOUNT NUMBER`, `gid GROUP NUMBER`,
# `conffile FILE RECORDED FOUND`. Paths of ELF files come on standard input.
while read -r file; do
    ldd "$file" 2> /dev/null | sed -n 's/^\t\(.*\) => not found.*/\1/p' | sed "s|\$| $file|; s/^/missing /"
done
try() {
    name=$1
    shift
    "$@" > /dev/null 2>&1 < /dev/null
    echo "program $name $?"
}
try curl curl --version
try ping ping -V
try man man --version
try requests python3 -c 'import requests'
try perl perl -MSocket -e 1
try nginx nginx -v
try git git --version
try vim vim.tiny --version
try fonts fc-list
try ssh ssh -V
try openssl openssl version
dpkg --verify 2> /dev/null | sed 's/.* //; s/^/verify /'
dpkg-query --show --showformat 'version ${Package} ${Version}\n'
getent passwd | awk -F: '{ print "id", $1, $3 }'
getent group | awk -F: '{ print "gid", $1, $3 }'
dpkg-query --show --showformat '${Conffiles}\n' | sed -n 's/^ \(\/[^ ]*\) \([0-9a-f]\{32\}\)$/\1 \2/p' |
    while read -r file recorded; do
        found=missing
        [ ! -f "$file" ] || found=$(md5sum < "$file")
        echo "conffile $file $recorded ${found%% *}"
    done
