// A process tree without a socket to its guardian: started by an earlier node, or its guardian was killed. Watched by
// looking, ended by its guardian where there is one, else by our own signals. Internal to io/processes.
#pragma once

#include <nestor/io/process_list.hpp>
#include <nestor/seam/io_request.hpp>

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace nestor::io {

class adopted_process : public std::enable_shared_from_this<adopted_process> {
public:
  /// `gone` is called once: with the reply that all who wait for its end get.
  adopted_process(boost::asio::io_context& context, process_ref process, milliseconds kill_takes,
                  std::function<void(process_absent)> gone);

  /// Looks at once and then ever again.
  void watch();
  /// TERM to all of it now, KILL after `grace`. `refused` is called when something is left long after that.
  void end(milliseconds grace, std::function<void()> refused);
  /// No more looks; nobody is told.
  void stop();

  [[nodiscard]] const process_ref& ref() const { return process_; }

private:
  void look();
  std::vector<process_entry> members();
  bool ask_guardian(milliseconds grace);

  process_ref process_;
  milliseconds kill_takes_;
  std::function<void(process_absent)> gone_;
  std::function<void()> refused_;
  boost::asio::steady_timer timer_;
  std::vector<process_entry> known_; ///< everything that was once found in the tree: it may leave it, and is still ours
  instant kill_at_{INT64_MAX}, give_up_at_{INT64_MAX};
  bool looking_ = false;
};

} // namespace nestor::io
