// starling gateway: what a gateway that runs does, and changes to it, over its admin port.
#pragma once

#include "apps/starling/commands.h"

namespace CLI {
class App;
}

namespace starling {

// `add_common` adds what every command takes. `common` and `exit_code` outlive the parsing.
void AddGatewayCommands(CLI::App& app, CommonOptions& common,
                        void (*add_common)(CLI::App&, CommonOptions&), int& exit_code);

}  // namespace starling
