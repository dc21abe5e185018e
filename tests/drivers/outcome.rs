//! How a run ends, and what brings that about.

use crate::driver::{Ask, Driver};
use crate::rig::{Done, Lab};

pub const OUTCOMES: &[&str] = &[
    "ok",
    "two-commits",
    "no-op",
    "simulated",
    "reinstall",
    "refused",
    "refused-later",
    "unpack-fails",
    "preinst-destroys",
    "postinst-fails",
    "kill-driver",
    "kill-dpkg",
    "kill-pre",
    "kill-post",
    "no-space",
    "io-error",
    "locked",
];

/// What the driver is asked for, to come to this end.
pub fn ask(outcome: &str, driver: &Driver) -> Ask<'static> {
    match outcome {
        "refused-later" if !driver.many_commits => Ask::Upgrade(&["step-a"]),
        "ok" => Ask::Upgrade(&["step-a", "step-b", "step-c"]),
        "two-commits" | "refused-later" => Ask::Twice("step-a", "step-b"),
        "no-op" => Ask::Nothing,
        "simulated" => Ask::Simulate("step-a"),
        "reinstall" => Ask::Reinstall("current"),
        "unpack-fails" => Ask::Upgrade(&["grows"]),
        "preinst-destroys" => Ask::Upgrade(&["destroys"]),
        "postinst-fails" => Ask::Upgrade(&["breaks"]),
        "kill-driver" | "kill-dpkg" | "io-error" => Ask::Upgrade(&["lingers"]),
        "no-space" => Ask::Upgrade(&["big"]),
        _ => Ask::Upgrade(&["step-a"]),
    }
}

/// The profile before (sh), besides what the driver needs.
pub fn prepare(outcome: &str, driver: &Driver) -> String {
    match outcome {
        "simulated" => "echo 'Debug::pkgDPkgPM \"1\";' > /etc/apt/apt.conf.d/70debug".to_owned(),
        // Else undo has nothing to show for it.
        "reinstall" => "echo spoilt > /usr/share/current/a".to_owned(),
        "refused" => "sed -i 's/^strict=.*/strict=yes/' /etc/flipper/profiles.conf".to_owned(),
        // A hook after ours, but only once.
        "refused-later" if driver.process == "dpkg" => {
            "echo pre-invoke=false > /etc/dpkg/dpkg.cfg.d/zzz".to_owned()
        }
        "refused-later" => {
            let once = "test -e /run/refused || { touch /run/refused; false; }";
            format!("echo 'DPkg::Pre-Install-Pkgs {{ \"{once}\"; }};' > /etc/apt/apt.conf.d/zzz-refuses")
        }
        "kill-pre" => hook_kills_itself(if driver.process == "dpkg" { "dpkg-pre" } else { "pre" }),
        "kill-post" => hook_kills_itself("*post"),
        _ => ":".to_owned(),
    }
}

fn hook_kills_itself(verb: &str) -> String {
    format!(
        "cd /usr/libexec/flipper-profiles; mv flipper-hook flipper-hook.real
         printf '%s\\n' '#!/bin/sh' 'case \"$1\" in {verb}) kill -9 $$ ;; esac' 'exec $0.real \"$@\"' > flipper-hook
         chmod 755 flipper-hook"
    )
}

/// The pool of this run is not to be found: any failure of the first hook would do.
const LOST: &str = "sed -i -e 's/^pool=.*/pool=00000000-0000-4000-8000-000000000000/' -e 's/^device=.*/device=\\/dev\\/null/' /run/flipper/booted";

/// Somebody else has dpkg's lock, as another package run has it (fcntl).
const HOLDER: &str = r#"perl -e 'use Fcntl; $| = 1; open F, "+>>", "/var/lib/dpkg/lock-frontend"; my $l = pack("ssx4qqlx4", F_WRLCK, 0, 0, 0, 0);
    fcntl(F, F_SETLK, $l) or die; open M, ">", "/tmp/held"; close M; sleep WHILE' & until test -e /tmp/held; do sleep 0.05; done"#;

/// The run. Its last line on standard output is `ended: STATUS`.
pub fn script(outcome: &str, driver: &Driver, id: &str) -> String {
    let command = driver.command(ask(outcome, driver));
    let (around, process) = (driver.around(), driver.process);
    let plain = format!("{command}; echo \"ended: $?\"");
    let killing = |process: &str| {
        format!(
            "{command} & A=$!; n=0
             until test -e /home/began-{id} || test $n -gt 300; do sleep 0.1; n=$((n + 1)); done
             P=$(grep -lx '{process}' /proc/[0-9]*/comm 2>/dev/null | sort -V | head -1); P=${{P#/proc/}}; kill -9 ${{P%/comm}}
             wait $A; echo \"ended: $?\""
        )
    };
    let run = match outcome {
        "refused" => format!("{LOST}; {plain}"),
        "kill-driver" => killing(process),
        "kill-dpkg" => killing("dpkg"),
        // apt waits for its turn, the others give up.
        "locked" => {
            format!("{}; {plain}", HOLDER.replace("WHILE", if process == "apt" { "5" } else { "100" }))
        }
        _ => plain,
    };
    format!("cd /; {around}; {run}")
}

/// How the driver ended.
pub fn ended(done: &Done) -> i32 {
    let line = done.out.lines().rev().find_map(|line| line.trim().strip_prefix("ended: "));
    line.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("it did not end by itself: {done:?}"))
}

pub fn run(lab: &Lab, outcome: &str, driver: &Driver) -> Done {
    lab.run(&script(outcome, driver, &lab.id))
}
