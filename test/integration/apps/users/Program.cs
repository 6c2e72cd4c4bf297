// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An ASP.NET Core app that minds who its users are, partly anonymous, written as if
// it ran behind IIS with Windows authentication. The first segment of a URL is for
// httpd's <Location>.
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.IISIntegration;

string Setting(string name) => Environment.GetEnvironmentVariable(name) ?? "";

var builder = Setting("SHAPE") == "slim" ? WebApplication.CreateSlimBuilder(args)
                                         : WebApplication.CreateBuilder(args);
var services = builder.Services;
services.AddRouting();
if (Setting("SCHEME") == "Windows")
{
    services.AddAuthentication(IISDefaults.AuthenticationScheme);
}
else if (Setting("MANUAL") == "")
{
    services.AddAuthentication();
}
else
{
    // A single scheme would be the default, and be asked for every request.
    services.AddAuthentication().AddCookie("Own");
}
services.AddAuthorization(o => o.AddPolicy("staff", p => p.RequireRole("staff")));
services.Configure<IISOptions>(o =>
{
    o.AutomaticAuthentication = Setting("MANUAL") != "IISOptions";
    o.ForwardClientCertificate = Setting("CERTIFICATE") != "Off";
    o.AuthenticationDisplayName = Setting("SHOWN") is { Length: > 0 } s ? s : null;
});
services.Configure<IISServerOptions>(o =>
    o.AutomaticAuthentication = Setting("MANUAL") != "IISServerOptions");
var app = builder.Build();

static object Describe(ClaimsPrincipal? user) => new
{
    known = user?.Identity?.IsAuthenticated ?? false,
    name = user?.Identity?.Name,
    type = user?.Identity?.AuthenticationType,
    roles = user?.FindAll(ClaimTypes.Role).Select(c => c.Value).ToArray(),
    staff = user?.IsInRole("staff") ?? false,
};

app.Map("/{where}/who", (HttpContext context) => Describe(context.User));
app.Map("/{where}/asked", async (HttpContext context) =>
{
    var result = await context.AuthenticateAsync("Windows");
    return Describe(result.Principal);
});
app.Map("/{where}/schemes", async (IAuthenticationSchemeProvider schemes) =>
    (await schemes.GetAllSchemesAsync()).Select(s => $"{s.Name}:{s.DisplayName}"));
app.Map("/{where}/restricted", (HttpContext context) => Describe(context.User))
    .RequireAuthorization();
app.Map("/{where}/staff", (HttpContext context) => Describe(context.User))
    .RequireAuthorization("staff");
app.Map("/{where}/challenge", async (HttpContext context, int? after) =>
{
    await Task.Delay(after ?? 0);
    await context.ChallengeAsync("Windows");
    await context.Response.WriteAsync("please log in");
});
app.Map("/{where}/own", (HttpContext context) =>
{
    context.Response.Headers.WWWAuthenticate = "Bearer";
    return Results.Text("a token please", statusCode: 401);
});
app.Map("/{where}/certificate", async (HttpContext context) =>
{
    var certificate = await context.Connection.GetClientCertificateAsync();
    return certificate == context.Connection.ClientCertificate
        ? certificate?.Thumbprint ?? "none" : "different";
});
app.Map("/{where}/headers", (HttpContext context) =>
    context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString()));
app.Map("/{where}/integrated", (IServiceProvider services) =>
    services.GetService<IServerIntegratedAuth>() is { IsEnabled: true } s
        ? s.AuthenticationScheme : "none");
app.Map("/{where}/announced", () => Setting("ASPNETCORE_IIS_HTTPAUTH"));
app.Run();
