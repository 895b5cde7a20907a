//! Who is who in the mesh: SPIFFE identities as a mesh's authority would issue them, and
//! two that it did not.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// The caller that may ask Guardrails.
pub(super) const ROUTER: &str = "router-client";
/// A caller of the same mesh that may not.
pub(super) const OTHER: &str = "reporting";
/// The service.
pub(super) const GUARDRAILS: &str = "guardrails";
/// Has the router's account's name in another trust domain, from that domain's authority.
pub(super) const FOREIGNER: &str = "foreigner";
/// Has the router's identity, from an authority that is not the mesh's.
pub(super) const IMPOSTOR: &str = "impostor";

const DOMAIN: &str = "signalbox.test";
const FOREIGN_DOMAIN: &str = "elsewhere.test";

/// Writes `authority.pem`, and for each identity `NAME.pem` and `NAME.key`.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    let (authority, pem) = authority(DOMAIN)?;
    std::fs::write(folder.join("authority.pem"), pem)?;
    for name in [ROUTER, OTHER, GUARDRAILS] {
        issue(&authority, folder, name, DOMAIN, name)?;
    }
    let (foreign, _) = self::authority(FOREIGN_DOMAIN)?;
    issue(&foreign, folder, FOREIGNER, FOREIGN_DOMAIN, ROUTER)?;
    issue(&foreign, folder, IMPOSTOR, DOMAIN, ROUTER)
}

/// An authority for a trust domain, and its certificate as PEM.
fn authority(domain: &str) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, domain);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{domain}").try_into()?)];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

/// An X.509 SVID: one URI name, usable on both ends of a connection.
fn issue(
    authority: &Issuer<'_, KeyPair>,
    folder: &Path,
    name: &str,
    domain: &str,
    account: &str,
) -> anyhow::Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    // Not the authority's name, or it would pass for one that signed itself.
    params.distinguished_name.push(DnType::CommonName, account);
    let identity = format!("spiffe://{domain}/ns/signalbox/sa/{account}");
    params.subject_alt_names = vec![SanType::URI(identity.try_into()?)];
    // SPIFFE forbids the usages of an authority; to Envoy a certificate without any usages
    // has them all.
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}
