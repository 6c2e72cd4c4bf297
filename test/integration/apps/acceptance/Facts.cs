// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// What the app was given: process, folders, variables, and its view of a request.
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace AcceptanceSite;

internal static class Facts
{
    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        Process(endpoints);
        Request(endpoints);
        Identity(endpoints);
    }

    private static T Service<T>(HttpContext c) where T : notnull =>
        c.RequestServices.GetRequiredService<T>();

    private static Task Text(HttpContext c, object value) =>
        c.Response.WriteAsync(value?.ToString() ?? "");

    private static string Configured(HttpContext c, string name) =>
        Service<IConfiguration>(c)[name] ?? "NOVALUE";

    private static void Process(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["HelloWorld"] = c => Text(c, "Hello World");
        endpoints["ProcessId"] = c => Text(c, Environment.ProcessId);
        endpoints["ServerAddresses"] = c => Text(c, string.Join(
            ",", Service<IServer>(c).Features.Get<IServerAddressesFeature>()!.Addresses));
        endpoints["ServerType"] = c => Text(c, Service<IServer>(c).GetType().FullName);
        endpoints["CommandLineArgs"] = c => Text(c, string.Join(
            "|", Environment.GetCommandLineArgs().Skip(1)));
        endpoints["ContentRootPath"] = c => Text(
            c, Service<IWebHostEnvironment>(c).ContentRootPath);
        endpoints["WebRootPath"] = c => Text(
            c, Service<IWebHostEnvironment>(c).WebRootPath);
        endpoints["CurrentDirectory"] = c => Text(c, Environment.CurrentDirectory);
        endpoints["BaseDirectory"] = c => Text(c, AppContext.BaseDirectory);
        endpoints["EnvironmentName"] = c => Text(
            c, Service<IHostEnvironment>(c).EnvironmentName);
        endpoints["GetEnvironmentVariable"] = c => Text(
            c, Environment.GetEnvironmentVariable(c.Request.Query["name"].ToString())
               ?? "(null)");
        endpoints["ANCM_HTTPS_PORT"] = c => Text(c, Configured(c, "ANCM_HTTPS_PORT"));
        endpoints["HTTPS_PORT"] = c => Text(c, Configured(c, "HTTPS_PORT"));
        endpoints["StartupHook"] = c => Text(c, StartupHook.Ran);
        endpoints["StackSize"] = c => Text(c, Deep(10000));
        endpoints["StackSizeLarge"] = c => Text(c, Deep(30000));
    }

    private static int Deep(int levels) => levels == 0 ? 0 : 1 + Deep(levels - 1);

    private static void Request(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["HttpsHelloWorld"] = c => Text(
            c, $"Scheme:{c.Request.Scheme}; Original:"
               + c.Request.Headers["X-Original-Proto"]);
        endpoints["CheckProtocol"] = c => Text(c, c.Request.Protocol);
        endpoints["Method"] = c => Text(c, c.Request.Method);
        endpoints["Host"] = c => Text(c, c.Request.Host);
        endpoints["Path"] = c => Text(c, c.Request.Path.Value!);
        endpoints["Query"] = c => Text(c, c.Request.QueryString);
        endpoints["BasePath"] = c => Text(c, c.Request.PathBase.Value!);
        endpoints["PathAndBase"] = c => Text(
            c, c.Request.PathBase.Value + "|" + c.Request.Path.Value);
        endpoints["RequestPath"] = c => Text(
            c, c.Request.Path.Value!["/RequestPath".Length..]);
        endpoints["RawTarget"] = c => Text(
            c, c.Features.Get<IHttpRequestFeature>()!.RawTarget);
        endpoints["Remote"] = c => Text(
            c, c.Connection.RemoteIpAddress + " " + c.Connection.RemotePort);
        endpoints["ConnectionId"] = c => Text(c, c.Connection.Id);
        endpoints["DumpRequestHeaders"] = c => Text(c, string.Join(
            "\n", c.Request.Headers.Select(h => h.Key + ": " + h.Value)));
        endpoints["RequestHeader"] = c => Text(
            c, c.Request.Headers[c.Request.Query["name"].ToString()]);
        endpoints["BodyLimit"] = c => Text(
            c, c.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize
               ?.ToString() ?? "null");
        endpoints["CanHaveBody"] = c => Text(
            c, c.Features.Get<IHttpRequestBodyDetectionFeature>()!.CanHaveBody);
    }

    private static void Identity(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["Schemes"] = async c => await Text(c, string.Join(",",
            (await Service<IAuthenticationSchemeProvider>(c).GetAllSchemesAsync())
            .Select(s => s.Name + "=" + (s.DisplayName ?? ""))));
        endpoints["Anonymous"] = c => Text(
            c, "Anonymous?" + (c.User.Identity?.IsAuthenticated != true));
        endpoints["Auth"] = c => Text(
            c, c.User.Identity?.AuthenticationType + ":" + c.User.Identity?.Name);
        endpoints["GetClientCert"] = async c =>
        {
            var certificate = await c.Connection.GetClientCertificateAsync();
            await Text(c, certificate == null ? "Disabled"
                                              : "Enabled;" + certificate.Thumbprint);
        };
    }
}
