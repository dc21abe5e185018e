//! A card with a FAT, and U-Boot's sandbox that starts from it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use crate::made;
use crate::rig::need;

pub const PARSERS: [&str; 2] = ["old", "modern"];

const PATIENCE: Duration = Duration::from_secs(30);

/// What the console says when a start is over.
const LAST_WORDS: [&str; 3] = ["@@args", "@@ended", "@@gave-up"];

/// A U-Boot with one of its shells, and a boot.scr.
pub struct Uboot {
    parser: &'static str,
    script: tempfile::NamedTempFile,
}

/// The directory U-Boot finds boot.scr in.
pub struct Card {
    pub dir: tempfile::TempDir,
    image: PathBuf,
    pub prefix: &'static str,
}

/// What U-Boot said of one start.
pub struct Start {
    pub out: String,
}

fn sandbox() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = std::env::var_os("FLIPPER_UBOOT").map(PathBuf::from).unwrap_or_else(|| {
            let builder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uboot-sandbox");
            need("tests/uboot-sandbox", &mut Command::new(builder)).lines().last().unwrap_or_default().into()
        });
        assert!(path.exists(), "there is no U-Boot at {path:?}: tests/uboot-sandbox builds one");
        path
    })
}

pub fn script_text() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("boot/boot.cmd")).unwrap()
}

/// As debian/rules makes it.
pub fn compile(text: &str) -> tempfile::NamedTempFile {
    let (source, made) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    fs::write(source.path(), text).unwrap();
    let words = ["-A", "arm64", "-O", "linux", "-T", "script", "-C", "none", "-n", "flipper-profiles", "-d"];
    need("mkimage", Command::new("mkimage").args(words).arg(source.path()).arg(made.path()));
    made
}

impl Uboot {
    pub fn new(parser: &'static str) -> Uboot {
        Uboot::with_script(parser, &script_text())
    }

    pub fn with_script(parser: &'static str, text: &str) -> Uboot {
        Uboot { parser, script: compile(text) }
    }

    /// The same with words of the script changed.
    pub fn with(&self, right: &str, other: &str) -> Uboot {
        let text = fs::read(self.script.path()).unwrap();
        // Behind the header of the image and the list of its parts.
        let text = String::from_utf8(text[72..].to_vec()).unwrap();
        assert!(text.contains(right), "{right}");
        Uboot::with_script(self.parser, &text.replace(right, other))
    }

    /// Starts, with this typed before.
    pub fn start_after(&self, card: &Card, typed: &str) -> Start {
        card.write();
        need(
            "mcopy",
            Command::new("mcopy")
                .args(["-o", "-i"])
                .arg(&card.image)
                .arg(self.script.path())
                .arg(format!("::{}boot.scr", card.prefix)),
        );
        let start = self.run(&card.image, card.prefix, typed);
        card.read_back();
        start
    }

    pub fn start(&self, card: &Card) -> Start {
        self.start_after(card, "true")
    }

    /// With a word in the microcontroller's register.
    pub fn start_with_word(&self, card: &Card, word: u16) -> Start {
        let [low, high] = word.to_le_bytes();
        self.start_after(card, &format!("i2c dev 0; i2c mw 69 0x10.2 {low:x}; i2c mw 69 0x11.2 {high:x}"))
    }

    pub fn run(&self, image: &Path, prefix: &str, typed: &str) -> Start {
        let tree = sandbox().with_file_name("sandbox.dtb");
        let mut child = Command::new(sandbox())
            .arg("-d")
            .arg(tree)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The first key ends the countdown.
        let lines = format!(
            "\ncli set {}\nhost bind 0 {}\nsetenv devtype host; setenv devnum 0; setenv distro_bootpart 0\n\
             setenv prefix {prefix}\n{typed}\nload host 0 ${{scriptaddr}} ${{prefix}}boot.scr\n\
             if source ${{scriptaddr}}; then echo @@ended; else echo @@gave-up; fi\n\necho\n\n",
            self.parser,
            image.display()
        );
        // It waits for the end of what is typed.
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let (said, console) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let lines = stdout.split(b'\n').map_while(Result::ok);
            lines
                .map(|line| String::from_utf8_lossy(&line).replace('\r', ""))
                .try_for_each(|line| said.send(line))
        });
        let (end, mut out, mut is_over) = (Instant::now() + PATIENCE, String::new(), false);
        while !is_over {
            let left = end.saturating_duration_since(Instant::now());
            let line = console.recv_timeout(left).unwrap_or_else(|_| panic!("U-Boot stopped talking: {out}"));
            is_over = LAST_WORDS.iter().any(|word| line.starts_with(word));
            out += &format!("{line}\n");
        }
        // It does not leave by itself.
        child.kill().unwrap();
        child.wait().unwrap();
        Start { out }
    }
}

impl Card {
    /// What our programs made: lab and router, on one kernel.
    pub fn new() -> Card {
        Card::of(made::directory())
    }

    /// With lab on trial with a second kernel.
    pub fn on_trial() -> Card {
        Card::of(made::on_trial())
    }

    pub fn of(made: &Path) -> Card {
        let dir = tempfile::tempdir().unwrap();
        need("cp", Command::new("cp").arg("-a").arg(made.join("flipper")).arg(dir.path()));
        let image = dir.path().join("card.img");
        Card { dir, image, prefix: "/" }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("flipper").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes a file of it.
    pub fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        fs::write(self.path(name), change(self.text(name))).unwrap();
    }

    pub fn both_copies(&self) -> [Vec<u8>; 2] {
        ["state.bin", "state.bak"].map(|name| fs::read(self.path(name)).unwrap_or_default())
    }

    fn write(&self) {
        let _ = fs::remove_file(&self.image);
        need("truncate", Command::new("truncate").args(["-s", "300M"]).arg(&self.image));
        need("mkfs.vfat", Command::new("mkfs.vfat").args(["-F", "32", "-s", "2"]).arg(&self.image));
        let to = format!("::{}", self.prefix);
        if self.prefix != "/" {
            need("mmd", Command::new("mmd").arg("-i").arg(&self.image).arg(to.trim_end_matches('/')));
        }
        let flipper = self.dir.path().join("flipper");
        if flipper.exists() {
            need("mcopy", Command::new("mcopy").args(["-s", "-i"]).arg(&self.image).arg(flipper).arg(to));
        }
    }

    /// What U-Boot wrote.
    fn read_back(&self) {
        for name in ["state.bin", "state.bak"] {
            let from = format!("::{}flipper/{name}", self.prefix);
            let mut mcopy = Command::new("mcopy");
            mcopy.args(["-n", "-i"]).arg(&self.image).arg(from).arg(self.path(name));
            let output = mcopy.output().expect("mcopy: apt-get install mtools");
            assert!(output.status.success() || !self.path(name).exists(), "{name} is gone from the card");
        }
    }
}

impl Start {
    fn told(&self, name: &str) -> Option<&str> {
        self.out.lines().find_map(|line| line.strip_prefix("@@")?.strip_prefix(name)?.strip_prefix(' '))
    }

    #[track_caller]
    pub fn says(&self, name: &str) -> &str {
        self.told(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.out)).trim_end()
    }

    /// The profile that started, and the kernel by what is in it.
    #[track_caller]
    pub fn is(&self, id: &str, kernel: &str) -> &Start {
        assert_eq!(self.argument("flipper.profile="), Some(id), "{}", self.out);
        assert_eq!(self.says("kernel"), format!("kernel {kernel}"), "{}", self.out);
        let initrd = format!("initrd {kernel}");
        let size = initrd.len() + 1;
        assert_eq!(self.says("initrd"), format!(":{size:x} {initrd}"), "{}", self.out);
        assert!(!self.out.contains("syntax error"), "{}", self.out);
        self
    }

    #[track_caller]
    pub fn args(&self) -> &str {
        self.says("args")
    }

    #[track_caller]
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.args().split_whitespace().find_map(|word| word.strip_prefix(name))
    }

    #[track_caller]
    pub fn falls_back(&self, does: bool) -> &Start {
        assert_eq!(self.argument("flipper.fallback=").is_some(), does, "{}", self.out);
        self
    }

    #[track_caller]
    pub fn gives_up(&self) {
        assert!(self.out.contains("@@gave-up") && self.told("kernel").is_none(), "{}", self.out);
    }
}
