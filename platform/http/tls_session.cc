#include "platform/http/tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>

namespace starling::http {
namespace {

constexpr size_t kWriteBytes = size_t{64} * 1024;  // sealed together
constexpr size_t kKeptBytes = size_t{80} * 1024;

std::string NameText(const X509_NAME* name) {
  BIO* out = BIO_new(BIO_s_mem());
  X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out, &text);
  std::string made(text, static_cast<size_t>(size));
  BIO_free(out);
  return made;
}

void AddAlternativeNames(const X509* certificate, ClientCertificate& to) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    const char* kind = name->type == GEN_DNS     ? "DNS:"
                       : name->type == GEN_URI   ? "URI:"
                       : name->type == GEN_EMAIL ? "email:"
                                                 : nullptr;
    if (kind == nullptr) continue;
    const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.ia5)),
                                static_cast<size_t>(ASN1_STRING_length(name->d.ia5)));
    // A name with a NUL in it would be taken for a shorter one.
    if (text.find('\0') != std::string_view::npos) continue;
    to.alternative_names.push_back(std::string(kind).append(text));
  }
  GENERAL_NAMES_free(names);
}

std::string Fingerprint(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace

// OpenSSL's view of the socket: reads come from it, writes go into the session's buffer.
struct SocketBio {
  static TlsSession& SessionOf(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }
  static int Read(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t got;
    do {
      got = ::recv(SessionOf(bio).descriptor_, to, static_cast<size_t>(size), MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
  }
  static int Write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    SessionOf(bio).sealed_.append(from, static_cast<size_t>(size));
    return size;
  }
  static long Control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO* New(TlsSession* session) {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    BIO* bio = BIO_new(method);
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
  }
};

TlsSession::TlsSession(SSL* ssl, int descriptor, std::shared_ptr<const void> contexts, Side side)
    : ssl_(ssl), descriptor_(descriptor), contexts_(std::move(contexts)) {
  BIO* bio = SocketBio::New(this);
  SSL_set_bio(ssl_, bio, bio);
  if (side == Side::kServer) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

TlsSession::Handshake TlsSession::DoHandshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, done);
  // Also an alert, which tells the client why it failed.
  const Transport::Sent sent = SendSealed();
  if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) return Handshake::kFailed;
  if (sent == Transport::Sent::kBroken) return Handshake::kFailed;
  if (sent == Transport::Sent::kBlocked) return Handshake::kWrites;
  return done == 1 ? Handshake::kDone : Handshake::kReads;
}

std::string_view TlsSession::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsSession::resumed() const { return SSL_session_reused(ssl_) == 1; }

std::string TlsSession::FailureReason() const {
  const long verified = SSL_get_verify_result(ssl_);
  if (verified != X509_V_OK)
    return fmt::format("its certificate is not good: {}", X509_verify_cert_error_string(verified));
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "it ended the handshake" : reason;
}

std::shared_ptr<const ClientCertificate> TlsSession::PeerCertificate() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) return nullptr;
  auto made = std::make_shared<ClientCertificate>();
  made->subject = NameText(X509_get_subject_name(certificate));
  made->issuer = NameText(X509_get_issuer_name(certificate));
  made->sha256 = Fingerprint(certificate);
  AddAlternativeNames(certificate, *made);
  return made;
}

Transport::Sent TlsSession::SendSealed() {
  while (sealed_sent_ < sealed_.size()) {
    const ssize_t sent = ::send(descriptor_, sealed_.data() + sealed_sent_,
                                sealed_.size() - sealed_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Transport::Sent::kBlocked
                                                     : Transport::Sent::kBroken;
    }
    sealed_sent_ += static_cast<size_t>(sent);
  }
  sealed_.clear();
  if (sealed_.capacity() > kKeptBytes) sealed_.shrink_to_fit();
  sealed_sent_ = 0;
  return Transport::Sent::kAll;
}

Transport::Sent TlsSession::TrySend(std::string_view& first, std::string_view& second) {
  for (;;) {
    const Transport::Sent sent = SendSealed();
    if (sent != Transport::Sent::kAll || (first.empty() && second.empty())) return sent;
    while (sealed_.size() < kWriteBytes && (!first.empty() || !second.empty())) {
      std::string_view& part = first.empty() ? second : first;
      size_t written = 0;
      ERR_clear_error();
      // The buffer takes everything, so this fails only when the session is broken.
      if (SSL_write_ex(ssl_, part.data(), std::min(part.size(), kWriteBytes), &written) != 1)
        return Transport::Sent::kBroken;
      part.remove_prefix(written);
    }
  }
}

ssize_t TlsSession::TryRead(char* to, size_t size) {
  size_t got = 0;
  ERR_clear_error();
  const int done = SSL_read_ex(ssl_, to, size, &got);
  const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, done);
  // What reading made TLS say: a new key, an alert.
  if (sealed_sent_ == 0 && !sealed_.empty() && SendSealed() == Transport::Sent::kBroken)
    return Transport::kBroken;
  switch (error) {
    case SSL_ERROR_NONE:
      return static_cast<ssize_t>(got);
    case SSL_ERROR_ZERO_RETURN:
      return Transport::kEnd;
    case SSL_ERROR_WANT_READ:
      return Transport::kNothing;
    default:
      return Transport::kBroken;
  }
}

bool TlsSession::HasInput() const { return SSL_has_pending(ssl_) == 1; }

void TlsSession::Close() {
  ERR_clear_error();
  // Not after an error, of which OpenSSL asks to be left alone.
  if (SSL_in_init(ssl_) == 0) SSL_shutdown(ssl_);
  SendSealed();
}

}  // namespace starling::http
