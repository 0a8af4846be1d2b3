import { mount } from 'svelte'
import App from './App.svelte'
import { translator } from '$lib/i18n/i18n.svelte'
import './styles/tokens.css'
import './styles/base.css'

const target = document.getElementById('app')
if (!target) throw new Error('index.html has no element "app"')
await translator.start()
mount(App, { target })
