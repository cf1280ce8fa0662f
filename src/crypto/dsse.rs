//! Signed statements: DSSE envelopes (Dead Simple Signing Envelope 1.0) with RSASSA-PKCS1-v1_5 and SHA-256, the scheme
//! that cosign and in-toto's programs verify.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::keys::{PrivateKey, PublicKey};
use crate::error::{Error, Result};
use crate::json::{self, Value, json};

/// The type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A payload and the signatures of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Signs `payload`.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) if the system gives no random bytes (the operation is blinded).
    pub fn sign(payload_type: &str, payload: Vec<u8>, key: &PrivateKey) -> Result<Self> {
        let signature = key.sign_pkcs1v15_sha256(&encoded(payload_type, &payload))?;
        Ok(Envelope { payload_type: payload_type.to_owned(), payload, signatures: vec![signature] })
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none.
    pub fn parse(document: &[u8]) -> Result<Self> {
        let document = json::parse_object(document)?;
        let text = |key: &str| document.get(key).and_then(Value::as_str).ok_or_else(|| missing(key));
        let payload = decode(text("payload")?).ok_or_else(|| missing("payload"))?;
        let signatures = document.get("signatures").and_then(Value::as_array).ok_or_else(|| missing("signatures"))?;
        let signature = |signature: &Value| signature.get("sig").and_then(Value::as_str).and_then(decode);
        let signatures: Option<Vec<Vec<u8>>> = signatures.iter().map(signature).collect();
        let signatures = signatures.filter(|found| !found.is_empty()).ok_or_else(|| missing("signatures"))?;
        Ok(Envelope { payload_type: text("payloadType")?.to_owned(), payload, signatures })
    }

    /// The envelope as JSON in one line.
    pub fn to_json(&self, key: &PublicKey) -> Vec<u8> {
        let signatures: Vec<Value> = self
            .signatures
            .iter()
            .map(|signature| json!({ "keyid": key.fingerprint(), "sig": STANDARD.encode(signature) }))
            .collect();
        let payload = STANDARD.encode(&self.payload);
        json::to_vec(&json!({ "payloadType": self.payload_type, "payload": payload, "signatures": signatures }))
    }

    /// The payload, if it is of this type and one of its signatures is of this key.
    pub fn verify(&self, payload_type: &str, key: &PublicKey) -> Option<&[u8]> {
        let message = encoded(&self.payload_type, &self.payload);
        let is_signed = self.signatures.iter().any(|signature| key.verify_pkcs1v15_sha256(&message, signature));
        (is_signed && self.payload_type == payload_type).then_some(&self.payload)
    }

    /// The payload, whoever has signed it: to say what it claims to be, never to act on it.
    pub fn unverified(&self) -> &[u8] {
        &self.payload
    }
}

fn missing(member: &str) -> Error {
    Error::malformed(format!("not a signed statement (DSSE envelope): no valid `{member}`"))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// What is signed: the pre-authentication encoding of DSSE.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing;

    #[test]
    fn encodes_as_the_specification_does() {
        let encoded = encoded("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn only_the_signed_payload_of_its_type_verifies() {
        let (key, other) = (testing::key(0), testing::key(1));
        let envelope = Envelope::sign(IN_TOTO, b"{}".to_vec(), key).unwrap();
        let read = Envelope::parse(&envelope.to_json(&key.public_key())).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.verify(IN_TOTO, &key.public_key()), Some(&b"{}"[..]));
        assert_eq!(read.verify("text/plain", &key.public_key()), None);
        assert_eq!(read.verify(IN_TOTO, &other.public_key()), None);
        for changed in [
            Envelope { payload: b"[]".to_vec(), ..read.clone() },
            Envelope { payload_type: "text/plain".to_owned(), ..read.clone() },
            Envelope { signatures: vec![vec![0; 256]], ..read.clone() },
        ] {
            assert_eq!(changed.verify(&changed.payload_type, &key.public_key()), None);
        }
        for document in ["", "[]", "{}", r#"{"payload": "e30=", "payloadType": "t", "signatures": []}"#] {
            assert!(Envelope::parse(document.as_bytes()).is_err(), "{document}");
        }
    }
}
