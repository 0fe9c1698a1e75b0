// Which avatar's clip is used, where there are avatars: `names` lists them, `value` is {name} with
// "" for none.
"use strict";
studio.widgets.avatar_choice = (element, props, trigger, watch) => {
  const { t, h } = studio;
  const select = h("select", { id: "avatar-choice-select", class: "avatar-choice-select", onchange: choose });
  const said = h("p", { class: "avatar-choice-said", role: "status" });
  const root = h("div", { class: "avatar-choice" },
    h("label", { class: "avatar-choice-label", for: select.id }, t("avatars.choice")), select, said);
  element.append(root);
  show();
  watch(["value", "names"], show);

  function show() {
    const names = props.names ?? [];
    const chosen = names.includes(props.value?.name) ? props.value.name : "";
    root.hidden = names.length === 0;
    select.replaceChildren(...["", ...names].map((name) =>
      h("option", { value: name, selected: name === chosen }, name || t("avatars.choice-none"))));
    select.value = chosen;
    tell(chosen);
  }

  function choose() {
    props.value = { name: select.value };
    tell(select.value); // the server's answer may say the same, which nobody is told of
    trigger("input");
  }

  function tell(name) {
    said.textContent = name ? t("avatars.in-use", { name }) : "";
  }
};
