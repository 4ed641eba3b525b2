//! The processes that are measured: the server as its users run it, and a PostgreSQL where it is to use one.

use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::wire::Door;

/// Makes a cluster as an installation would, durable, says where its socket is, and ends with its input.
const KEEPER: &str = r#"
set -eu
folder=$(mktemp -d "${2%/}/postgres.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$1/initdb" --pgdata="$folder/data" --auth=trust --username=postgres --encoding=UTF8 --no-locale --no-sync >log 2>&1 || {
    cat log >&2
    exit 1
}
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= </dev/null >log 2>&1 &
postgres=$!
trap 'kill -INT $postgres; wait $postgres || true; rm -rf "$folder"' EXIT
until grep -q 'ready to accept connections' log; do
    kill -0 $postgres || { cat log >&2; exit 1; }
    sleep 0.05
done
echo "$folder"
cat >/dev/null
"#;

/// A cluster that ends when this does, however that ends.
pub(crate) struct Postgres {
    keeper: Child,
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let binaries = binaries().ok_or("PostgreSQL is not installed: no `initdb` was found")?;
        // It does not run as root.
        let mut command = Command::new(if rustix::process::geteuid().is_root() { "runuser" } else { "sh" });
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        let mut keeper = command
            .args(["-c", KEEPER, "keeper"])
            .arg(binaries)
            .arg(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut folder = String::new();
        let said = keeper.stdout.take().ok_or("PostgreSQL says nothing")?;
        BufReader::new(said).read_line(&mut folder)?;
        if folder.is_empty() {
            return Err("PostgreSQL did not start; why is told above".into());
        }
        Ok(Self { keeper, url: format!("postgres:///postgres?host={}&user=postgres", folder.trim()) })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // There is nobody to tell: the bench ends.
        let _ = self.keeper.wait();
    }
}

fn binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(versions) = fs_err::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A server of its own, with an empty data folder.
pub(crate) struct Server {
    process: Child,
    pub(crate) data: PathBuf,
    pub(crate) door: Door,
}

impl Server {
    pub(crate) fn start(
        octarm: &Path,
        folder: &Path,
        database: Option<&str>,
    ) -> Result<Self, Box<dyn Error>> {
        let (data, address) = (folder.join("data"), folder.join("address"));
        let log = fs_err::File::create(folder.join("server.log"))?.into_file();
        let mut command = Command::new(octarm);
        command.args(["server", "run", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.arg("--address-file").arg(&address);
        if let Some(url) = database {
            command.args(["--database-url", url]);
        }
        let mut process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let until = Instant::now() + Duration::from_secs(30);
        while !address.exists() {
            if process.try_wait()?.is_some() || Instant::now() > until {
                let log = fs_err::read_to_string(folder.join("server.log"))?;
                return Err(format!("the server did not start:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let url = fs_err::read_to_string(&address)?;
        let key = fs_err::read_to_string(data.join("first-api-key"))?;
        let host = url.trim().trim_start_matches("http://").parse()?;
        let door = Door { address: host, key: format!("x-octopus-apikey: {}\r\n", key.trim()) };
        Ok(Self { process, data, door })
    }

    /// Resident memory now, and the most since the last [`Self::forget_peak`], in bytes.
    pub(crate) fn memory(&self) -> Result<(u64, u64), Box<dyn Error>> {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        bytes("VmRSS:").zip(bytes("VmHWM:")).ok_or_else(|| "the server has ended".into())
    }

    /// The peak counts from now on.
    pub(crate) fn forget_peak(&self) -> Result<(), Box<dyn Error>> {
        Ok(fs_err::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }

    /// How long processors worked for it so far.
    pub(crate) fn worked(&self) -> Duration {
        worked(&format!("/proc/{}/stat", self.process.id()))
    }

    /// Whether its packages folder holds anything that was not finished.
    pub(crate) fn has_unfinished(&self) -> Result<bool, Box<dyn Error>> {
        let files = fs_err::read_dir(self.data.join("packages"))?.collect::<Result<Vec<_>, _>>()?;
        Ok(files.iter().any(|file| file.file_name().to_string_lossy().ends_with(".part")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is our own, and its folder goes with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long processors worked for this program so far.
pub(crate) fn own_work() -> Duration {
    worked("/proc/self/stat")
}

fn worked(stat: &str) -> Duration {
    let text = fs_err::read_to_string(stat).unwrap_or_default();
    // The name of the program, which stands in brackets, may hold anything.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| fields.split_whitespace().nth(place).and_then(|text| text.parse::<u64>().ok());
    // A hundred to the second, whatever the machine.
    Duration::from_millis((ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) * 10)
}
