import { createHash, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import {
  Attribute,
  CertificateChoices,
  CertificateSet,
  CMSVersion,
  ContentInfo,
  DigestAlgorithmIdentifier,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  id_data,
  id_signedData,
  IssuerAndSerialNumber,
  SignatureAlgorithmIdentifier,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
} from "@peculiar/asn1-cms";
import {
  AsnArray,
  AsnConvert,
  AsnObjectIdentifierConverter,
  AsnType,
  AsnTypeTypes,
  OctetString,
} from "@peculiar/asn1-schema";
import { Certificate } from "@peculiar/asn1-x509";

const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SHA256 = { algorithm: "2.16.840.1.101.3.4.2.1", parameters: null };
const SHA256_WITH_RSA = { algorithm: "1.2.840.113549.1.1.11", parameters: null };

/** What the signature covers: the attributes as a SET, not as the tagged field that carries them. */
class SignedAttributes extends AsnArray<Attribute> {}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(SignedAttributes);

/** CMS SignedData (RFC 5652 §5) in DER, with one RSA signer that is named by issuer and serial number, and its certificate (DER). */
export function signedData(content: Buffer, signer: { certificate: Buffer; privateKey: KeyObject }): Buffer {
  const certificate = AsnConvert.parse(signer.certificate, Certificate);
  const { issuer, serialNumber } = certificate.tbsCertificate;
  const signedAttrs = [
    attribute(CONTENT_TYPE, AsnConvert.serialize(AsnObjectIdentifierConverter.toASN(id_data))),
    attribute(MESSAGE_DIGEST, AsnConvert.serialize(new OctetString(createHash("sha256").update(content).digest()))),
  ];
  const signature = sign(
    "sha256",
    Buffer.from(AsnConvert.serialize(new SignedAttributes(signedAttrs))),
    signer.privateKey,
  );
  const signed = new SignedData({
    version: CMSVersion.v1,
    digestAlgorithms: new DigestAlgorithmIdentifiers([new DigestAlgorithmIdentifier(SHA256)]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType: id_data,
      eContent: new EncapsulatedContent({ single: new OctetString(content) }),
    }),
    certificates: new CertificateSet([new CertificateChoices({ certificate })]),
    signerInfos: new SignerInfos([
      new SignerInfo({
        version: CMSVersion.v1,
        sid: new SignerIdentifier({ issuerAndSerialNumber: new IssuerAndSerialNumber({ issuer, serialNumber }) }),
        digestAlgorithm: new DigestAlgorithmIdentifier(SHA256),
        signedAttrs,
        signatureAlgorithm: new SignatureAlgorithmIdentifier(SHA256_WITH_RSA),
        signature: new OctetString(signature),
      }),
    ]),
  });
  const whole = new ContentInfo({ contentType: id_signedData, content: AsnConvert.serialize(signed) });
  return Buffer.from(AsnConvert.serialize(whole));
}

function attribute(attrType: string, value: ArrayBuffer): Attribute {
  return new Attribute({ attrType, attrValues: [value] });
}
