// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An app inside httpd in C++:
//
//   c++ -std=c++17 -shared -fPIC -pthread -o sample.so sample.cc
//
// What an app in C++ wants: a class for a request, an object that completes a pending
// request whatever happens, and a wall that no exception crosses. Paths: /, /upper (the
// body in upper case), /primes?n= (counted by another thread), /throw, /throw-late.

#include <appcore.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

const appcore_host *host;

appcore_str str(std::string_view text)
{
    return { text.data(), text.size() };
}

std::string_view view(appcore_str text)
{
    return { text.p, text.len };
}

// What the host answers, as an exception where it is an error.
int64_t check(int64_t result, const char *what)
{
    if (result < 0) {
        throw std::runtime_error(std::string(what) + ": " + std::to_string(result));
    }
    return result;
}

void log_error(appcore_request id, std::string_view text)
{
    host->log(host, id, APPCORE_LOG_ERROR, str(text));
}

// Code on our side of the wall: what it throws is a line in the log and `otherwise`.
template <typename Result, typename Code>
Result guarded(appcore_request id, Result otherwise, Code code) noexcept
{
    try {
        return code();
    }
    catch (const std::exception &error) {
        log_error(id, error.what());
    }
    catch (...) {
        log_error(id, "an exception of unknown type");
    }
    return otherwise;
}

// A request within one of its callbacks.
class Request {
public:
    explicit Request(appcore_request id) : id_(id) {}

    appcore_request id() const { return id_; }

    void respond(int status, std::string_view text)
    {
        appcore_field type = { str("Content-Type"), str("text/plain") };
        iovec body = { const_cast<char *>(text.data()), text.size() };

        check(host->respond(id_, status, str(""), &type, 1, &body, 1), "respond");
    }

    void start(int status)
    {
        check(host->start(id_, status, str(""), nullptr, 0), "start");
    }

    void write(std::string_view text, uint32_t flags = 0)
    {
        iovec data = { const_cast<char *>(text.data()), text.size() };

        check(host->write(id_, &data, 1, flags), "write");
    }

    // Empty at the end of the body.
    std::string_view read(std::vector<char> &room)
    {
        int64_t n = check(host->read(id_, room.data(), room.size(), 0), "read");

        return { room.data(), static_cast<size_t>(n) };
    }

private:
    appcore_request id_;
};

// A request that handle() leaves pending. Whoever holds this owes the answer; if it is
// dropped without one, because of an exception say, the client gets 500.
class Pending {
public:
    explicit Pending(appcore_request id) : id_(id) {}
    Pending(Pending &&other) noexcept : id_(std::exchange(other.id_, 0)) {}
    Pending(const Pending &) = delete;
    Pending &operator=(const Pending &) = delete;

    ~Pending()
    {
        if (id_) {
            host->complete(id_, APPCORE_FAILED);
        }
    }

    appcore_request id() const { return id_; }

    void answer(int status, std::string text)
    {
        auto job = std::make_unique<Answer>(Answer{ status, std::move(text) });

        if (host->post(id_, run, job.get()) == APPCORE_OK) {
            static_cast<void>(job.release());   // run() has it now
        }
        host->complete(std::exchange(id_, 0), APPCORE_OK);
    }

private:
    struct Answer {
        int status;
        std::string text;
    };

    // Also where the request is gone: then there is only to be freed.
    static void run(void *, appcore_request id, void *data, int result) noexcept
    {
        std::unique_ptr<Answer> job(static_cast<Answer *>(data));

        if (result == APPCORE_OK) {
            guarded(id, 0, [&] {
                Request(id).respond(job->status, job->text);
                return 0;
            });
        }
    }

    appcore_request id_;
};

// One thread for what takes its time.
class Worker {
public:
    Worker() : thread_([this] { run(); }) {}

    ~Worker()
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            ending_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    void add(std::function<void()> job)
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            jobs_.push_back(std::move(job));
        }
        changed_.notify_one();
    }

private:
    void run() noexcept
    {
        std::unique_lock<std::mutex> lock(mutex_);

        for (;;) {
            changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
            if (jobs_.empty()) {
                return;
            }
            auto job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            guarded(0, 0, [&] { job(); return 0; });
            job = nullptr;
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool ending_ = false;
    std::thread thread_;    // last: it uses the others
};

class App {
public:
    int handle(appcore_request id, const appcore_info &info)
    {
        Request request(id);
        std::string_view path = view(info.path);

        if (path.empty() || path == "/") {
            request.respond(200, "Hello from C++ inside httpd\n");
        }
        else if (path == "/upper") {
            upper(request);
        }
        else if (path == "/primes") {
            later(id, [n = number(view(info.query))](Pending &pending) {
                pending.answer(200, std::to_string(primes_below(n)) + "\n");
            });
            return APPCORE_PENDING;
        }
        else if (path == "/throw") {
            throw std::runtime_error("thrown in handle()");
        }
        else if (path == "/throw-late") {
            later(id, [](Pending &) { throw std::runtime_error("thrown in a thread"); });
            return APPCORE_PENDING;
        }
        else {
            return APPCORE_DECLINED;
        }
        return APPCORE_DONE;
    }

private:
    template <typename Code> void later(appcore_request id, Code code)
    {
        // std::function wants what it holds to be copied, hence shared.
        auto pending = std::make_shared<Pending>(id);

        worker_.add([pending, code] { code(*pending); });
    }

    static void upper(Request &request)
    {
        std::vector<char> room(8192);

        request.start(200);
        for (auto part = request.read(room); !part.empty(); part = request.read(room)) {
            std::string text(part);

            for (char &c : text) {
                c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
            }
            request.write(text, APPCORE_FLUSH);
        }
    }

    static long number(std::string_view query)
    {
        size_t at = query.find("n=");

        return at == query.npos ? 1000
                                : std::atol(std::string(query.substr(at + 2)).c_str());
    }

    static int primes_below(long n)
    {
        int found = 0;

        for (long i = 2; i < n; i++) {
            long d = 2;

            while (d * d <= i && i % d) {
                d++;
            }
            found += d * d > i;
        }
        return found;
    }

    Worker worker_;
};

// The callbacks: nothing but the wall and the class behind it.

int init(const appcore_host *given, const appcore_config *, void **app,
         appcore_failure *failure)
{
    host = given;
    return guarded(0, APPCORE_FAILED, [&] {
        failure->what = str("the app could not be made");
        *app = new App;
        return APPCORE_OK;
    });
}

int handle(void *app, appcore_request id, const appcore_info *info, void **)
{
    return guarded(id, APPCORE_FAILED, [&] {
        return static_cast<App *>(app)->handle(id, *info);
    });
}

void shutdown(void *app, uint32_t)
{
    delete static_cast<App *>(app);
}

} // namespace

const appcore_app *appcore_app_v1(void)
{
    static const appcore_app app = [] {
        appcore_app made = {};

        made.size = sizeof(made);
        made.version = APPCORE_ABI;
        made.flags = APPCORE_THREAD_SAFE;
        made.init = init;
        made.handle = handle;
        made.shutdown = shutdown;
        return made;
    }();

    return &app;
}
