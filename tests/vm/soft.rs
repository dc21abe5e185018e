//! An undo that counts after seconds: the kernel goes on, everything else starts again.

use crate::machine::{Machine, WHO};

/// Asked twice: the unit that asks runs again after a soft reboot, and its answers go to the same port.
pub fn an_undo_with_a_soft_reboot() {
    let machine = Machine::trixie();
    let ask = format!(
        "if ! test -e /run/flipper-asked; then
            touch /run/flipper-asked
            export DEBIAN_FRONTEND=noninteractive
            apt-get -qq -y install plain
            echo installed=$(dpkg-query -W -f '${{db:Status-Status}}' plain)
            echo log > /var/log/mine; echo home > /home/mine
            cut -d' ' -f1 /proc/uptime > /run/flipper-before
            flipper-undo --soft-reboot --yes 2>&1 | sed 's/^/undo: /'
            sleep 600
        fi
        echo seconds=$(echo $(cut -d' ' -f1 /proc/uptime) $(cat /run/flipper-before) | awk '{{print int($1 - $2)}}')
        {WHO}
        echo plain=$(dpkg-query -W -f '${{db:Status-Status}}' plain 2> /dev/null)
        echo kept=$(cat /var/log/mine /home/mine)
        echo next=$(ls /run/flipper | grep -c next)
        echo confirm=$(systemctl is-active flipper-confirm) trial=$(test -e /run/flipper/on-trial && echo still)
        for i in 1 2 3 4 5; do flipper-profile status > /tmp/s; grep -q 'waits' /tmp/s || break; sleep 1; done
        echo waits=$(grep -c waits /tmp/s)
        mkdir -p /tmp/top; mount -o subvolid=5 /dev/vda /tmp/top; echo roots=$(ls /tmp/top/@profiles/lab/roots); umount /tmp/top
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install plain
        flipper-profile log -n 1"
    );
    let started = machine.start("", &ask);
    started.is("installed", "installed").tells("restarting without the kernel");
    started.is("state", "running").is("failed", "").is("root", "overlay").is("booted-profile", "lab");
    started.is("plain", "").is("kept", "log home").is("next", "0").is("confirm", "active trial=");
    started.is("waits", "0").is("roots", started.says("booted-root"));
    started.tells("2 installed: plain, plain-lib");
    eprintln!("vm: a soft reboot took {} s", started.says("seconds"));
}
