// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

// What bench/run asks of ASP.NET Core: a text, JSON, a text after one asynchronous
// hop, and a page of MVC.

using Microsoft.AspNetCore.Mvc;

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddControllersWithViews();
var app = builder.Build();
app.MapGet("/12", () => "xxxxxxxxxxxx");
app.MapGet("/json", () => new Answer("Hello, World!", 42));
app.MapGet("/async", async () =>
{
    await Task.Yield();
    return "xxxxxxxxxxxx";
});
app.MapControllerRoute("page", "/page", new { controller = "Home", action = "Page" });
app.Run();

internal sealed record Answer(string Message, int Number);

public sealed class HomeController : Controller
{
    public IActionResult Page() => View(Enumerable.Range(1, 20));
}
