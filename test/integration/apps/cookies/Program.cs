// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An ASP.NET Core app that knows its users by a cookie; SHAPE says how it is built.
using System.Security.Claims;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.DataProtection;

var shape = Environment.GetEnvironmentVariable("SHAPE");
var builder = shape == "slim" ? WebApplication.CreateSlimBuilder(args)
                              : WebApplication.CreateBuilder(args);

builder.Services.AddAuthentication("Cookies").AddCookie("Cookies");
builder.Services.AddAntiforgery();
if (shape == "named")
{
    builder.Services.AddDataProtection().SetApplicationName("of its own");
}
var app = builder.Build();

app.UseAuthentication();
app.MapGet("/login", async (HttpContext context, IAntiforgery antiforgery) =>
{
    var name = new Claim(ClaimTypes.Name, "alice");

    await context.SignInAsync("Cookies",
        new ClaimsPrincipal(new ClaimsIdentity([name], "Cookies")));
    context.User = new ClaimsPrincipal(new ClaimsIdentity([name], "Cookies"));
    return antiforgery.GetAndStoreTokens(context).RequestToken;
});
app.MapGet("/who", (HttpContext context) => context.User.Identity?.Name ?? "nobody");
app.MapPost("/post", async (HttpContext context, IAntiforgery antiforgery) =>
    await antiforgery.IsRequestValidAsync(context));
app.MapGet("/pid", () => Environment.ProcessId.ToString());
app.MapGet("/root", (IWebHostEnvironment environment) => environment.ContentRootPath);
app.MapGet("/discriminator", (
    Microsoft.Extensions.Options.IOptions<DataProtectionOptions> options) =>
    options.Value.ApplicationDiscriminator);
app.Run();
