// Users of another issuer: the verifier of their tokens, as the section `jwt` says.
#pragma once

#include <memory>

#include "platform/base/clock.h"
#include "platform/host/options.h"
#include "platform/security/jwt.h"

namespace starling::host {

// nullptr without keys; INVALID_ARGUMENT when they are none.
StatusOr<std::unique_ptr<security::JwtVerifier>> MakeJwtVerifier(const JwtConfig& config,
                                                                 const Clock& clock);
// Keys that change (a rotated JWKS file) are taken while the process runs; ones that are none leave
// the old ones in force. The log says how it went.
void TakeJwtKeys(const JwtConfig& now, security::JwtVerifier* verifier);

}  // namespace starling::host
