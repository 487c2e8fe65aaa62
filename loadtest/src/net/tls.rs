//! TLS between the dialect and the socket: octets in, octets out, no I/O.

use std::fmt;
use std::io::{BufRead, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, BytesMut};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whom connections trust, and by which name they ask for the server.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Trust {
    /// Trusts whom `ca`, a file of certificates in PEM, vouches for; or, if `insecure`, anybody.
    ///
    /// Every connection does the whole handshake, as those of different clients do: none takes up an earlier one's
    /// session.
    ///
    /// # Errors
    /// If there are no such certificates, or the host cannot have any.
    pub(crate) fn new(host: &str, ca: Option<&Path>, insecure: bool) -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("TLS")?;
        let mut config = match ca {
            _ if insecure => config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
                .with_no_client_auth(),
            Some(file) => config.with_root_certificates(roots(file)?).with_no_client_auth(),
            None => bail!("TLS needs --ca FILE, the certificates to trust, or --insecure"),
        };
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(host.to_owned()).context("the host's name")?;
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("--ca {}", file.display()))?;
    let (taken, _) = roots.add_parsable_certificates(certificates);
    ensure!(taken > 0, "--ca {}: no certificates in it", file.display());
    Ok(roots)
}

/// One connection's TLS.
pub(super) struct Tls {
    session: ClientConnection,
    /// What is to be written to the socket.
    pub(super) sealed: BytesMut,
}

impl Tls {
    pub(super) fn new(trust: &Trust) -> anyhow::Result<Self> {
        let mut session =
            ClientConnection::new(Arc::clone(&trust.config), trust.name.clone()).context("TLS")?;
        // What may wait to be written is bounded elsewhere.
        session.set_buffer_limit(None);
        Ok(Self {
            session,
            sealed: BytesMut::new(),
        })
    }

    /// Takes what the socket brought, and appends to `out` what was in it.
    ///
    /// # Errors
    /// If the server is not trusted, or what came is no TLS.
    pub(super) fn open(&mut self, mut sealed: &[u8], out: &mut BytesMut) -> anyhow::Result<()> {
        while !sealed.is_empty() {
            let taken = self.session.read_tls(&mut sealed).context("TLS")?;
            // A fatal alert is told below, an end after close_notify by the socket.
            if taken == 0 {
                return Ok(());
            }
            self.session.process_new_packets().context("TLS")?;
            let mut reader = self.session.reader();
            loop {
                let len = match reader.fill_buf() {
                    Ok(plain) => {
                        out.extend_from_slice(plain);
                        plain.len()
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(error) => return Err(error).context("TLS"),
                };
                if len == 0 {
                    break;
                }
                reader.consume(len);
            }
        }
        Ok(())
    }

    /// Whether there is anything for the socket that [`Tls::seal`] would bring.
    pub(super) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// Moves all of `plain`, and what the handshake has to say, to [`Tls::sealed`]. Until the handshake is done,
    /// what was plain is kept.
    ///
    /// # Errors
    /// If the session has failed.
    pub(super) fn seal(&mut self, plain: &mut BytesMut) -> anyhow::Result<()> {
        self.session.writer().write_all(plain).context("TLS")?;
        plain.clear();
        while self.session.wants_write() {
            let mut sealed = (&mut self.sealed).writer();
            self.session.write_tls(&mut sealed).context("TLS")?;
        }
        Ok(())
    }
}

/// Trusts any certificate, but checks that the server has the key to it.
struct Anybody(Arc<CryptoProvider>);

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// A server for `localhost`, and a file with the certificate that vouches for it.
    fn server() -> (ServerConnection, tempfile::NamedTempFile) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(made.cert.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (ServerConnection::new(Arc::new(config)).unwrap(), file)
    }

    /// Sends `question` through, which the server sends back; what has come of it.
    fn echoed(tls: &mut Tls, server: &mut ServerConnection, question: &[u8]) -> anyhow::Result<Vec<u8>> {
        server.set_buffer_limit(None);
        let (mut plain, mut answer) = (BytesMut::from(question), BytesMut::new());
        loop {
            tls.seal(&mut plain)?;
            let sealed = tls.sealed.split();
            let mut sealed = &sealed[..];
            while !sealed.is_empty() {
                server.read_tls(&mut sealed)?;
                server.process_new_packets()?;
                let mut got = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = server.reader().read(&mut got) {
                    server.writer().write_all(&got[..count])?;
                }
            }
            let mut back = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut back)?;
            }
            // However it is cut.
            for piece in back.chunks(1000) {
                tls.open(piece, &mut answer)?;
            }
            if back.is_empty() && !tls.wants_write() {
                return Ok(answer.to_vec());
            }
        }
    }

    #[test]
    fn what_is_sent_before_the_handshake_arrives_after_it() {
        let (mut server, ca) = server();
        let trust = Trust::new("localhost", Some(ca.path()), false).unwrap();
        let mut tls = Tls::new(&trust).unwrap();
        let long: Vec<u8> = (0..1_000_000_u32).map(|place| place as u8).collect();
        for question in [&b"hello"[..], b"", &long] {
            let answer = echoed(&mut tls, &mut server, question).unwrap();
            assert!(
                answer == question,
                "{} of {} octets",
                answer.len(),
                question.len()
            );
        }
    }

    #[test]
    fn only_whom_the_file_vouches_for_is_trusted() {
        let attempt = |trust: &Trust| {
            let (mut server, _) = server();
            echoed(&mut Tls::new(trust).unwrap(), &mut server, b"x")
        };
        let (_, other) = server();
        let trust = Trust::new("localhost", Some(other.path()), false).unwrap();
        let error = format!("{:#}", attempt(&trust).unwrap_err());
        assert!(error.contains("certificate"), "{error}");
        let insecure = Trust::new("elsewhere", None, true).unwrap();
        assert_eq!(attempt(&insecure).unwrap(), b"x");
    }

    #[test]
    fn the_name_must_be_the_one_that_was_asked_for() {
        let (mut server, ca) = server();
        let trust = Trust::new("elsewhere", Some(ca.path()), false).unwrap();
        let error = echoed(&mut Tls::new(&trust).unwrap(), &mut server, b"x").unwrap_err();
        assert!(format!("{error:#}").contains("name"), "{error:#}");
    }

    #[test]
    fn without_certificates_it_says_what_is_missing() {
        let error = |ca: Option<&Path>| format!("{:#}", Trust::new("h", ca, false).unwrap_err());
        assert!(error(None).contains("--insecure"));
        assert!(error(Some(Path::new("/nonexistent"))).contains("--ca /nonexistent"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(error(Some(empty.path())).contains("no certificates"));
    }
}
