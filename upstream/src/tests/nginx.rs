//! nginx with TLS: own authority, wrong name, our certificate, no trust at all.

use crate::{Ask, Client, Error, Failure, Options, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use skyline_peers::process::Process;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Nginx {
    address: SocketAddr,
    folder: tempfile::TempDir,
    _process: Process,
}

impl Nginx {
    /// A server for `localhost` whose authority is in `ca.pem`; `client.pem` is a certificate of ours.
    fn start(asks_for_certificates: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        std::fs::write(at("ca.pem"), authority.pem()).unwrap();
        for (file, name) in [("server.pem", "localhost"), ("client.pem", "skyline")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(at(file), certificate.pem() + &key.serialize_pem()).unwrap();
        }
        let address = skyline_peers::port::free();
        let verify = if asks_for_certificates {
            format!("ssl_client_certificate {}; ssl_verify_client on;", at("ca.pem").display())
        } else {
            String::new()
        };
        let path = folder.path().display();
        let settings = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; \
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             server {{ listen {address} ssl; ssl_certificate {path}/server.pem; \
             ssl_certificate_key {path}/server.pem; {verify}\n\
             location / {{ return 200 \"$ssl_client_s_dn ok\"; }} }} }}\n"
        );
        std::fs::write(at("nginx.conf"), settings).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(at("nginx.conf")).arg("-p").arg(folder.path()).args(["-e", "stderr"]);
        let mut process = Process::start(&mut command, &at("log")).unwrap();
        skyline_peers::listens(&mut process, address).unwrap();
        Self { address, folder, _process: process }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn ask(&self, host: &str, tls: Tls) -> Result<String, Error> {
        let mut options = Options::new("graphite", format!("https://{host}:{}", self.address.port()));
        options.tls = tls;
        let answer = Client::new(options).unwrap().ask(Ask::get("/x")).await?;
        Ok(format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body).trim()))
    }
}

#[tokio::test]
async fn trust() {
    let nginx = Nginx::start(false);
    let own = Tls { ca_file: nginx.file("ca.pem"), ..Tls::default() };
    assert_eq!(nginx.ask("localhost", own.clone()).await.unwrap(), "200 ok");
    let error = nginx.ask("localhost", Tls::default()).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Tls);
    assert!(error.to_string().contains("name a file with the certificate of its authority"), "{error}");
    let error = nginx.ask("127.0.0.1", own).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Tls);
    assert!(error.to_string().contains("by a name that its certificate holds"), "{error}");
    let insecure = Tls { insecure: true, ..Tls::default() };
    assert_eq!(nginx.ask("127.0.0.1", insecure).await.unwrap(), "200 ok");
}

#[tokio::test]
async fn a_certificate_that_a_server_made_for_itself() {
    let nginx = Nginx::start(false);
    // The one that is shown, instead of its authority's.
    let own = Tls { ca_file: nginx.file("server.pem"), ..Tls::default() };
    assert_eq!(nginx.ask("localhost", own.clone()).await.unwrap(), "200 ok");
    let error = nginx.ask("127.0.0.1", own).await.unwrap_err();
    assert!(error.to_string().contains("by a name that its certificate holds"), "{error}");
    // Ours is no authority.
    let other = Tls { ca_file: nginx.file("client.pem"), ..Tls::default() };
    assert_eq!(nginx.ask("localhost", other).await.unwrap_err().kind(), Failure::Tls);
}

#[tokio::test]
async fn our_certificate() {
    let nginx = Nginx::start(true);
    let mut tls = Tls { ca_file: nginx.file("ca.pem"), ..Tls::default() };
    assert!(nginx.ask("localhost", tls.clone()).await.unwrap().starts_with("400 "));
    tls.certificate_file = nginx.file("client.pem");
    assert!(nginx.ask("localhost", tls).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn tls_to_a_port_without() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options::new("graphite", format!("https://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4096];
        stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = Client::new(options).unwrap().ask(Ask::get("/x")).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Tls, "{error}");
}
