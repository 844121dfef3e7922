// The real etcd that the tests of one binary share; it ends with them.
#pragma once

#include "platform/testing/engine.h"

namespace starling::discovery {

testing::Engine& SharedEtcd();

}  // namespace starling::discovery
