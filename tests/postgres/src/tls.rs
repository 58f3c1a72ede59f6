//! A certificate for `localhost`, and who vouches for it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};

pub(crate) const CERTIFICATE: &str = "server.crt";
pub(crate) const KEY: &str = "server.key";
pub(crate) const AUTHORITY: &str = "authority.crt";
pub(crate) const OTHER: &str = "other.crt";

pub(crate) fn make(folder: &Path) -> Result<(), String> {
    try_make(folder).map_err(|error| format!("no certificate: {error}"))
}

fn try_make(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (parameters, authority, key) = authority()?;
    let server_key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["localhost".to_owned()])?;
    let server = server.signed_by(&server_key, &Issuer::new(parameters, key))?;
    let (_, other, _) = self::authority()?;
    std::fs::write(folder.join(CERTIFICATE), server.pem())?;
    std::fs::write(folder.join(AUTHORITY), authority.pem())?;
    std::fs::write(folder.join(OTHER), other.pem())?;
    let path = folder.join(KEY);
    std::fs::write(&path, server_key.serialize_pem())?;
    // The server refuses a key that others may read.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    // Tests read what vouches for it, whoever runs the server.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn authority() -> Result<(CertificateParams, Certificate, KeyPair), rcgen::Error> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((parameters, certificate, key))
}
