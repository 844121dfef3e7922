// Where RabbitMQ is, as messaging.url says it:
//
//   amqp://user:password@host:5672/vhost                 the port and the vhost may be left out
//   amqps://user:password@a:5671,b:5671/vhost?cacertfile=/etc/ssl/rabbit.pem
//
// Any of the hosts is connected to: all must be nodes of one cluster. No vhost, or an empty one, is
// "/". Characters beside letters, digits, '-', '.', '_' and '~' are written as %XX in user,
// password and vhost. amqps checks the certificate and its name, by the machine's authorities or by
// those in cacertfile.
//
// Pure. The password is a secret: no message here has it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/status.h"

namespace starling::messaging {

struct RabbitAddress {
  bool tls = false;
  std::vector<std::pair<std::string, int>> hosts;
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";
  std::string ca_file;  // empty: the machine's

  std::string Where() const;  // "a:5671, b:5671": for messages
};

// INVALID_ARGUMENT that says what is wrong, without the password.
StatusOr<RabbitAddress> ParseRabbitUrl(std::string_view url);

}  // namespace starling::messaging
