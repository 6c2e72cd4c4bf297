// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// The acceptance site: an ASP.NET Core app that knows nothing of who hosts it. The
// first argument may name a mode, a way to start, to fail or to end; without one it
// serves the endpoints of the other files, each named by the first segment of the path
// or, where a test needs the whole path for itself, by the field X-Endpoint.
using Microsoft.AspNetCore.Authentication;

namespace AcceptanceSite;

public static class Program
{
    public static int Main(string[] args)
    {
        var mode = args.Length > 0 ? args[0] : "";
        if (Modes.Endings.TryGetValue(mode, out var ending))
        {
            return ending(args);
        }
        Modes.Before(mode);
        switch (mode)
        {
            case "Throw":
                throw new InvalidOperationException("thrown by Main");
            case "ThrowInStartup":
                Modes.ThrowInStartup(args);
                return 0;
            case "ThrowInStartupGenericHost":
                Modes.ThrowInGenericHost(args);
                return 0;
        }
        var app = Build(args, mode);
        Modes.Started(app, mode);
        app.Run();
        Modes.After(mode);
        return 0;
    }

    private static WebApplication Build(string[] args, string mode)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.Services.AddAuthentication();
        builder.Services.AddAuthorization();
        builder.Services.AddResponseCompression();
        Modes.Configure(builder, mode);
        var app = builder.Build();
        if (Environment.GetEnvironmentVariable("ENABLE_HTTPS_REDIRECTION") != null)
        {
            app.UseHttpsRedirection();
        }
        if (Environment.GetEnvironmentVariable("ENABLE_COMPRESSION") != null)
        {
            app.UseResponseCompression();
        }
        app.UseWebSockets();
        var endpoints = new Dictionary<string, RequestDelegate>();
        Facts.Add(endpoints);
        Bodies.Add(endpoints);
        Responses.Add(endpoints);
        Sockets.Add(endpoints);
        Life.Add(endpoints);
        Rules.Add(endpoints);
        app.Run(context => Dispatch(endpoints, context));
        return app;
    }

    private static Task Dispatch(Dictionary<string, RequestDelegate> endpoints,
                                 HttpContext context)
    {
        Life.Note(context);
        var name = context.Request.Headers["X-Endpoint"].ToString();
        if (name == "")
        {
            name = (context.Request.Path.Value ?? "").Split('/', 3).ElementAtOrDefault(1);
        }
        if (name != null && endpoints.TryGetValue(name, out var endpoint))
        {
            return endpoint(context);
        }
        context.Response.StatusCode = 404;
        return context.Response.WriteAsync("no endpoint " + name);
    }
}
