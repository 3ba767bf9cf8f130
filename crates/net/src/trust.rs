//! What a client trusts besides our authority, as one file: variables like `SSL_CERT_FILE` name a file that takes the place of all
//! others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The machine's certificates as PEM; empty if there are none to be found.
pub fn of_machine() -> Vec<u8> {
    let mut text = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(&certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, behind) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = behind;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    #[test]
    fn what_the_machine_trusts_is_read_back() {
        let machine: Vec<_> = rustls_native_certs::load_native_certs().certs;
        let text = of_machine();
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        assert_eq!(read.unwrap(), machine);
    }
}
