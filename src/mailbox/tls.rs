//! TLS toward servers, by the system's certificate authorities.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::Trouble;

/// Proves names by the system's certificate authorities, and by these.
///
/// # Errors
/// When one of these is no certificate.
pub fn connector(extra_roots: Option<&[u8]>) -> Result<TlsConnector, Trouble> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let wrong = |error: &dyn std::fmt::Display| Trouble::Tls(error.to_string());
    for root in CertificateDer::pem_slice_iter(extra_roots.unwrap_or_default()) {
        roots.add(root.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
