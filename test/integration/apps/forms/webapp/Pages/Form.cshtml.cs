// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
using Microsoft.AspNetCore.Mvc.RazorPages;

namespace Unmodified.Pages;

public class FormModel : PageModel
{
    public string? Said { get; private set; }

    public void OnPost(string text) => Said = text;
}
