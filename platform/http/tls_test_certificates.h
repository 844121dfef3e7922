// Certificates that tests make for themselves, in memory, and the files of a server's.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "platform/http/tls.h"

namespace starling::http {

// A certificate and its key; signed by another, or by itself.
class TestCertificate {
 public:
  // `names` as OpenSSL writes them: "DNS:a.example,URI:spiffe://x".
  TestCertificate(const std::string& common_name, const std::string& names,
                  const TestCertificate* issuer = nullptr, long valid_for_seconds = 3600)
      : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")), certificate_(X509_new()) {
    static int serial = 0;
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), valid_for_seconds);
    X509_set_pubkey(certificate_, key_);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate_), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    const TestCertificate& signer = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(certificate_, X509_get_subject_name(signer.certificate_));
    if (!names.empty()) Extend(NID_subject_alt_name, names);
    if (issuer == nullptr) Extend(NID_basic_constraints, "critical,CA:TRUE");
    EXPECT_GT(X509_sign(certificate_, signer.key_, EVP_sha256()), 0);
  }
  ~TestCertificate() {
    EVP_PKEY_free(key_);
    X509_free(certificate_);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  X509* certificate() const { return certificate_; }
  EVP_PKEY* key() const { return key_; }
  std::string CertificatePem() const {
    return Text([&](BIO* out) { PEM_write_bio_X509(out, certificate_); });
  }
  std::string KeyPem() const {
    return Text([&](BIO* out) {
      PEM_write_bio_PrivateKey(out, key_, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

 private:
  void Extend(int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
  }
  template <typename Write>
  static std::string Text(Write write) {
    BIO* out = BIO_new(BIO_s_mem());
    write(out);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    std::string made(text, static_cast<size_t>(size));
    BIO_free(out);
    return made;
  }

  EVP_PKEY* key_;
  X509* certificate_;
};

// A folder of PEM files that goes with the test.
class CertificateFolder {
 public:
  CertificateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tls_test_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~CertificateFolder() { std::filesystem::remove_all(path_); }
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = (path_ / name).string();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    return path;
  }
  // NAME.pem and NAME.key.
  TlsOptions::Certificate Write(const std::string& name, const TestCertificate& certificate) const {
    return {Write(name + ".pem", certificate.CertificatePem()),
            Write(name + ".key", certificate.KeyPem())};
  }
  std::string Path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace starling::http
