// Tells the service manager how the node fares (systemd's sd_notify protocol: a datagram to NOTIFY_SOCKET). Without
// that variable nothing is told.
#pragma once

#include <string>

namespace nestor::cli {

/// "READY=1", "STOPPING=1", "RELOADING=1", "STATUS=…"; lines of one message separated by line breaks.
void tell_service_manager(const std::string& message);

} // namespace nestor::cli
