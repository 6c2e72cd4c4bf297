/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_BRIDGE_H
#define APPCORE_DOTNET_BRIDGE_H

/* Between appcore-dotnet.so and AppCore.AspNetCore.dll, which come in one package
 * but are loaded apart, so structs begin with their size.
 *
 * The managed side finds the bridge's address in the runtime property
 * APPCORE_NATIVE, hexadecimal, and calls the host's functions itself. The structs
 * and what config says live as long as the process. */

#include "appcore.h"

#define AC_DOTNET_BRIDGE 1

/* Unmanaged entry points of the managed side; any thread. */
typedef struct ac_dotnet_calls_t {
    size_t size;
    int (*handle)(appcore_request, const appcore_info *, void **data);
    void (*on_io)(appcore_request, void *data, uint32_t events);
    void (*on_disconnect)(appcore_request, void *data);
    void (*quiesce)(void);
    /* StopApplication; returns at once, stopped() follows. */
    void (*stop)(uint32_t limit_ms);
} ac_dotnet_calls_t;

typedef struct ac_dotnet_bridge_t {
    size_t size;
    uint32_t version;           /* AC_DOTNET_BRIDGE */
    const appcore_host *host;
    const appcore_config *config;
    /* IServer.StartAsync is through; calls is copied. */
    void (*ready)(const ac_dotnet_calls_t *calls);
    /* The app did not start, and says why. Main may go on to its end. */
    void (*failed)(appcore_str what, appcore_str evidence);
    /* StopAsync is through: no request is left, and nothing managed is called any
     * more. Returns when nobody is inside a call, at the latest after the shutdown
     * limit. */
    void (*stopped)(void);

    /* The first call: the start-up hook runs. */
    void (*hooked)(void);
    /* StopAsync begins, asked by stop() or not: httpd gives the app no new requests. */
    void (*stopping)(void);
    /* From AppDomain.UnhandledException, after which the runtime would end the process:
     * before ready() it does not return, so that there is somebody to show the page. */
    void (*crashed)(appcore_str what, appcore_str evidence);
} ac_dotnet_bridge_t;

#endif
