// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Claims;
using System.Threading.Tasks;
using AppCore.AspNetCore.Server;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.IISIntegration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AppCore.AspNetCore;

/// <summary>
/// The user that httpd authenticated, as the user of the request and under the name of
/// the scheme that apps written for IIS know: Windows. There are no Windows tokens, so
/// it is a ClaimsPrincipal, with groups as roles.
/// </summary>
internal static class Users
{
    // Written by httpd alone: it removes what clients call so.
    private const string User = "MS-ASPNETCORE-USER";
    private const string AuthType = "MS-ASPNETCORE-AUTHTYPE";
    private const string Roles = "MS-ASPNETCORE-ROLES";
    private const string Scheme = IISDefaults.AuthenticationScheme;

    internal static bool AreTold { get; } =
        (Environment.GetEnvironmentVariable("ASPNETCORE_IIS_HTTPAUTH") ?? "")
            .Split(';').Contains("windows");

    /// <summary>For builders that do not know it: AddNegotiate() then leaves the login
    /// to the server in front.</summary>
    internal static void Announce(IServiceCollection services)
    {
        if (AreTold)
        {
            services.AddSingleton<IServerIntegratedAuth>(new ServerAuth());
        }
    }

    /// <summary>
    /// The first part of the pipeline is made last, so the stock one has registered its
    /// scheme, which waits for tokens of Windows. Schemes that the app made stay.
    /// </summary>
    internal static RequestDelegate Compose(IServiceProvider services,
                                            RequestDelegate next)
    {
        var iis = services.GetService<IOptions<IISOptions>>()?.Value ?? new();
        var server = services.GetService<IOptions<IISServerOptions>>()?.Value ?? new();

        StartupHook.Safely(() => Register(
            services.GetService<IAuthenticationSchemeProvider>(),
            iis.AuthenticationDisplayName ?? server.AuthenticationDisplayName));
        if (!AreTold || Bridge.IsThere)
        {
            return next;
        }
        var automatic = iis.AutomaticAuthentication && server.AutomaticAuthentication;

        return context =>
        {
            var user = Read(context.Request.Headers);

            if (user != null)
            {
                context.Features.Set(new Forwarded(user));
                context.User = automatic ? user : context.User;
            }
            return next(context);
        };
    }

    private static void Register(IAuthenticationSchemeProvider? schemes, string? shown)
    {
        var old = schemes?.GetSchemeAsync(Scheme).GetAwaiter().GetResult();
        var isStock = old?.HandlerType.Assembly == typeof(IISDefaults).Assembly;

        if (schemes == null || (old != null && !isStock))
        {
            return;
        }
        schemes.RemoveScheme(Scheme);
        if (AreTold)
        {
            schemes.AddScheme(new AuthenticationScheme(Scheme, shown, typeof(Handler)));
        }
    }

    private static ClaimsPrincipal? Read(IHeaderDictionary headers)
    {
        if (headers[User] is not [{ Length: > 0 } name])
        {
            return null;
        }
        var type = headers[AuthType] is [{ Length: > 0 } told] ? Decode(told) : Scheme;
        var roles = headers[Roles] is [{ } listed] ? listed.Split(',') : [];

        return Make(Decode(name), type, roles.Select(Decode));
    }

    internal static ClaimsPrincipal Make(string name, string type,
                                         IEnumerable<string> roles) =>
        new(new ClaimsIdentity(
            roles.Select(role => Claim(ClaimTypes.Role, role))
                .Prepend(Claim(ClaimTypes.Name, name)),
            type is "" ? Scheme : type, ClaimTypes.Name, ClaimTypes.Role));

    private static Claim Claim(string type, string value) =>
        new(type, value, ClaimValueTypes.String, Scheme);

    private static string Decode(string value) => Uri.UnescapeDataString(value);

    private sealed record Forwarded(ClaimsPrincipal User);

    private sealed class ServerAuth : IServerIntegratedAuth
    {
        public bool IsEnabled => true;
        public string AuthenticationScheme => Scheme;
    }

    private sealed class Handler : IAuthenticationHandler
    {
        // httpd takes it for the wish that its own challenge goes with this answer.
        private const string Challenge = "AppCore-Challenge";
        private HttpContext _context = null!;

        public Task InitializeAsync(AuthenticationScheme scheme, HttpContext context)
        {
            _context = context;
            return Task.CompletedTask;
        }

        public Task<AuthenticateResult> AuthenticateAsync() => Task.FromResult(
            (_context.Features.Get<Forwarded>()?.User
                ?? _context.Features.Get<Exchange>()?.SentUser) is { } user
                ? AuthenticateResult.Success(new AuthenticationTicket(user, Scheme))
                : AuthenticateResult.NoResult());

        public Task ChallengeAsync(AuthenticationProperties? properties)
        {
            _context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            _context.Response.Headers[Challenge] = Scheme;
            return Task.CompletedTask;
        }

        public Task ForbidAsync(AuthenticationProperties? properties)
        {
            _context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return Task.CompletedTask;
        }
    }
}
