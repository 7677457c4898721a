// A Node addon of its own, loaded before the binding. TensorFlow's libraries write to standard error from their static
// initialisers, where no log level reaches them. `hold()` sends standard error to memory, `release()` puts it back and
// returns what was written meanwhile, so that the caller can show it when loading failed.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include <node_api.h>

namespace {

int saved = -1;
int memory = -1;

napi_value Hold(napi_env, napi_callback_info) {
  if (saved != -1) return nullptr;
  memory = memfd_create("stderr", MFD_CLOEXEC);
  saved = dup(STDERR_FILENO);
  if (memory == -1 || saved == -1 || dup2(memory, STDERR_FILENO) == -1) {
    // Without the means to hold it, standard error stays as it is: noise is better than a failed load.
    if (memory != -1) close(memory);
    if (saved != -1) close(saved);
    memory = saved = -1;
  }
  return nullptr;
}

napi_value Release(napi_env env, napi_callback_info) {
  std::string text;
  if (saved != -1) {
    dup2(saved, STDERR_FILENO);
    close(saved);
    char buffer[4096];
    lseek(memory, 0, SEEK_SET);
    for (ssize_t got; (got = read(memory, buffer, sizeof buffer)) > 0;) text.append(buffer, got);
    close(memory);
    memory = saved = -1;
  }
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

void Export(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace

NAPI_MODULE_INIT() {
  Export(env, exports, "hold", Hold);
  Export(env, exports, "release", Release);
  return exports;
}
