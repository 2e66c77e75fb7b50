// A socket in front of the engine's that passes everything on, and can lose the answer to a create: the container is
// there, and whoever asked for it does not know. It counts who asks where a container is.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace nestor::tests {

class gate {
public:
  gate(std::string path, std::string engine);
  ~gate();
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  std::atomic<int> to_lose = 0; ///< so many answers to creates from now on
  std::atomic<int> lost = 0;
  std::atomic<int> looked = 0; ///< questions for one container's description, its published ports among it

private:
  void accept();
  void relay(int client);

  std::string path_;
  std::string engine_;
  int listening_ = -1;
  int stop_ = -1;                   ///< readable when the gate closes
  std::vector<std::thread> relays_; ///< the accepting thread's, until it has ended
  std::thread accepting_;
};

} // namespace nestor::tests
