//! Faults of the disk under a run: full, and failing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use crate::rig::{Done, Lab, Pool, prepared_image};

/// What a full pool still has: enough for our hooks and dpkg's notes, not for the package.
const REST: u64 = 40 << 20;

/// The pool of one Debian that is filled and emptied again: one run at a time.
pub fn pool_to_fill(debian: u32) -> (&'static Pool, MutexGuard<'static, ()>) {
    static POOLS: [OnceLock<Pool>; 2] = [const { OnceLock::new() }; 2];
    static ONE: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
    let at = usize::from(debian == 12);
    let guard = ONE[at].lock().unwrap_or_else(|failed| failed.into_inner());
    (POOLS[at].get_or_init(|| crate::cell::furnished(debian)), guard)
}

/// A run that begins, and its pool filled before the driver starts.
pub fn run_on_a_full_disk(lab: &Lab, script: &str) -> Done {
    let ready = lab.pool.top.join("@data/home/ready");
    let done = std::thread::scope(|scope| {
        let waiting = "touch /home/ready; while test -e /home/ready; do sleep 0.05; done";
        let run = scope.spawn(move || lab.run(&format!("{waiting}; {script}")));
        wait_for(&ready, &|| run.is_finished());
        lab.pool.fill_data(REST);
        fs::remove_file(&ready).expect("remove");
        run.join().expect("the run")
    });
    lab.pool.make_room();
    done
}

fn wait_for(path: &Path, over: &dyn Fn() -> bool) {
    while !path.exists() {
        assert!(!over(), "the run ended before there was {}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A pool whose disk can be made to fail. It is an image that is mounted anew, as after a reboot.
pub struct Failing {
    image: PathBuf,
    /// While it exists, every write fails.
    trigger: PathBuf,
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.image);
        let _ = fs::remove_file(&self.trigger);
    }
}

impl Failing {
    pub fn new(debian: u32) -> Failing {
        let suite = crate::cell::suite(debian);
        let image = Pool::copy_of(&prepared_image(suite, crate::driver::packages(debian)));
        let trigger = image.with_extension("fails");
        let failing = Failing { image, trigger };
        crate::cell::furnish(&failing.healthy());
        failing
    }

    pub fn healthy(&self) -> Pool {
        Pool::mount(&self.image, "image=\"$1\"", ":")
    }

    /// Behind a server that fails on demand. It ends with the pool.
    pub fn on_a_bad_disk(&self) -> Pool {
        let offer = format!(
            "mkdir /mnt/disk; touch /mnt/disk/image
             nbdfuse /mnt/disk/image [ nbdkit --exit-with-parent --foreground --filter=error file \"$1\" \
                 error-pwrite=EIO error-pwrite-rate=100% error-file={} ] < /dev/null > /dev/null &
             server=$!
             n=0; until test -s /mnt/disk/image; do sleep 0.05; n=$((n + 1)); test $n -lt 200; done
             image=/mnt/disk/image",
            self.trigger.display()
        );
        Pool::mount(&self.image, &offer, ":")
    }

    /// A run whose disk fails when the package's postinst has begun.
    pub fn run(&self, lab: &Lab, script: &str) -> Done {
        let home = lab.pool.top.join("@data/home");
        std::thread::scope(|scope| {
            let run = scope.spawn(move || lab.run(script));
            wait_for(&home.join(format!("began-{}", lab.id)), &|| run.is_finished());
            fs::write(&self.trigger, b"").expect("make the trigger");
            // Still only in memory, unless the file system noticed already.
            let _ = fs::write(home.join(format!("go-on-{}", lab.id)), b"");
            run.join().expect("the run")
        })
    }

    pub fn repair(&self) {
        fs::remove_file(&self.trigger).expect("remove the trigger");
    }
}
