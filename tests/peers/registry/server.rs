//! The registry of the distribution project, on a free port of the loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::utf8;

use tempfile::TempDir;

use support::run;

pub struct Server {
    child: Child,
    pub port: u16,
    pub dir: TempDir,
}

impl Server {
    /// For everybody, without TLS.
    pub fn open() -> Self {
        Self::start(|_| String::new(), |_| String::new())
    }

    /// Behind TLS with an authority of its own (`ca/ca.crt` in `dir`), for the given users (user = password).
    pub fn locked(users: &[&str]) -> Self {
        let tls = |dir: &Path| {
            make_certificates(dir);
            format!("  tls: {{certificate: {0}/server.crt, key: {0}/server.key}}\n", dir.display())
        };
        let auth = |dir: &Path| {
            let lines = users.iter().map(|user| run("htpasswd", &["-Bbn", user, &format!("{user}-secret")]).unwrap());
            fs::write(dir.join("users"), lines.collect::<Vec<_>>().concat()).unwrap();
            format!("auth:\n  htpasswd: {{realm: trains, path: {}/users}}\n", dir.display())
        };
        Self::start(tls, auth)
    }

    /// For those who show a certificate of its authority: `ours` in `dir` has one.
    pub fn for_certificates() -> Self {
        let tls = |dir: &Path| {
            make_certificates(dir);
            let ours = dir.join("ours");
            fs::create_dir(&ours).unwrap();
            fs::copy(dir.join("ca/ca.crt"), ours.join("ca.crt")).unwrap();
            make_certificate(dir, "client", &ours.join("client.cert"), &ours.join("client.key"));
            let tls = "certificate: {0}/server.crt, key: {0}/server.key, clientcas: [{0}/ca/ca.crt]";
            format!("  tls: {{{}}}\n", tls.replace("{0}", utf8(dir)))
        };
        Self::start(tls, |_| String::new())
    }

    /// Behind TLS, and told that it is reached by plain HTTP at this port, as one behind a careless proxy is.
    pub fn misled(port: u16) -> Self {
        let tls = |dir: &Path| {
            make_certificates(dir);
            let tls = format!("  tls: {{certificate: {0}/server.crt, key: {0}/server.key}}\n", dir.display());
            format!("{tls}  host: http://127.0.0.1:{port}\n")
        };
        Self::start(tls, |_| String::new())
    }

    /// For those that a token server knows, as this part of the configuration names it, without TLS.
    pub fn with_tokens(config: &str) -> Self {
        Self::start(|_| String::new(), |_| config.to_owned())
    }

    fn start(tls: impl Fn(&Path) -> String, auth: impl Fn(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (tls, auth) = (tls(dir.path()), auth(dir.path()));
        let config = |port: u16| {
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp:\n  addr: \
                 127.0.0.1:{port}\n{tls}{auth}",
                data.display(),
            )
        };
        let begun = Instant::now();
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(dir.path().join("config.yml"), config(port)).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(dir.path().join("config.yml")).stdin(Stdio::null());
            let mut child =
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker-registry starts");
            // It ends where another test has taken the port in the meantime.
            while child.try_wait().unwrap().is_none() {
                let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
                std::thread::sleep(Duration::from_millis(50));
                if answers && child.try_wait().unwrap().is_none() {
                    return Server { child, port, dir };
                }
                assert!(begun.elapsed() < Duration::from_secs(30), "docker-registry does not listen");
            }
        }
    }

    /// The place of a repository there.
    pub fn at(&self, repository: &str) -> String {
        format!("docker://127.0.0.1:{}/{repository}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority (`ca/ca.crt`) and a certificate of it for 127.0.0.1.
fn make_certificates(dir: &Path) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fs::create_dir(dir.join("ca")).unwrap();
    fs::write(dir.join("ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let request = ["req", "-newkey", "rsa:2048", "-nodes"];
    let ca =
        ["-x509", "-days", "9", "-subj", "/CN=test authority", "-keyout", &path("ca.key"), "-out", &path("ca/ca.crt")];
    run("openssl", &[&request[..], &ca].concat()).unwrap();
    make_certificate(dir, "127.0.0.1", &dir.join("server.crt"), &dir.join("server.key"));
}

/// A certificate of the authority.
fn make_certificate(dir: &Path, name: &str, certificate: &Path, key: &Path) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (subject, request) = (format!("/CN={name}"), path("request.csr"));
    let (key, certificate) = (utf8(key), utf8(certificate));
    run("openssl", &["req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", key, "-out", &request])
        .unwrap();
    let sign = ["x509", "-req", "-days", "9", "-CAcreateserial", "-in", &request, "-CA", &path("ca/ca.crt")];
    let rest = ["-CAkey", &path("ca.key"), "-extfile", &path("ext"), "-out", certificate];
    run("openssl", &[&sign[..], &rest].concat()).unwrap();
}
