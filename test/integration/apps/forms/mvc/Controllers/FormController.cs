// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
using Microsoft.AspNetCore.Mvc;

namespace Unmodified.Controllers;

public class FormController : Controller
{
    public IActionResult Index() => View();

    [HttpPost, ValidateAntiForgeryToken]
    public IActionResult Index(string text)
    {
        ViewData["Said"] = text;
        return View();
    }
}
