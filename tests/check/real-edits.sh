# What a year does to a machine: two dozen changes past dpkg, around it and with its own tools.
set -e
export DEBIAN_FRONTEND=noninteractive
touch /usr/bin/cat
chmod u+x /usr/bin/perl
chmod u+s /usr/bin/chage
setfattr -n user.colour -v green /usr/bin/tail 2> /dev/null || chmod g-x /usr/bin/tail
rm /usr/bin/whoami
rm -r /usr/share/doc/adduser
mkdir /usr/share/doc/adduser
for conffile in bash.bashrc debconf.conf pam.conf; do echo '# mine' >> /etc/$conffile; done
rm /etc/cron.daily/dpkg /etc/update-motd.d/10-uname
sed -i 's/^#*Port .*/Port 2222/' /etc/ssh/sshd_config
useradd --create-home --uid 1234 alice
groupadd --gid 997 profilegrp
useradd --system --uid 996 --gid 997 svcuser
mkdir -p /srv/svc
echo data > /srv/svc/data
chown -R svcuser:profilegrp /srv/svc
printf '#!/bin/sh\necho mine\n' > /usr/bin/sqv
chmod 755 /usr/bin/sqv
dpkg --force-depends --purge tzdata > /dev/null 2>&1
dpkg --force-depends --remove e2fsprogs > /dev/null 2>&1
apt-mark hold curl > /dev/null
dpkg-divert --local --no-rename --add /usr/bin/factor > /dev/null
cp /usr/bin/factor /usr/bin/factor.distrib
printf '#!/bin/sh\necho mine\n' > /usr/bin/factor
dpkg-statoverride --update --add root mail 2750 /usr/bin/expiry
update-alternatives --set pager /bin/more > /dev/null
ln -sf /dev/null /etc/systemd/system/systemd-timesyncd.service
chmod 0710 /etc/ssl/private
echo '# local' >> /usr/lib/systemd/system/ssh.service
echo 'de_DE.UTF-8 UTF-8' >> /etc/locale.gen
mkdir -p /usr/local/lib/python3.11/dist-packages
echo 'x = 1' > /usr/local/lib/python3.11/dist-packages/mine.py
